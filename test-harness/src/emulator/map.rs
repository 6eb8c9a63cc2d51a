//! The ABI's form of a header map: the count, then the sizes of each name and value, then each name
//! and value closed by a zero byte. Numbers are little-endian `u32`.

use super::Headers;

pub(crate) fn serialize(map: &Headers) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).expect("a header map of less than 4 GiB").to_le_bytes();
    let mut out = Vec::new();
    out.extend(word(map.len()));
    for (name, value) in map.iter() {
        out.extend(word(name.len()));
        out.extend(word(value.len()));
    }
    for (name, value) in map.iter() {
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(value);
        out.push(0);
    }
    out
}

/// `None` if the bytes are no header map.
pub(crate) fn deserialize(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let word = |at: usize| {
        let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let count = word(0)?;
    let mut at = 4usize.checked_add(count.checked_mul(8)?)?;
    let mut piece = |size: usize| {
        let end = at.checked_add(size)?;
        let piece = bytes.get(at..end)?;
        (bytes.get(end) == Some(&0)).then_some(())?;
        at = end + 1;
        Some(piece)
    };
    let mut map = Headers::new();
    for n in 0..count {
        let name = String::from_utf8(piece(word(4 + n * 8)?)?.to_vec()).ok()?;
        map.add(&name, piece(word(8 + n * 8)?)?);
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_survives_the_way_into_the_module_and_back() {
        let map = Headers::from(&[(":path", b"/v1".as_slice()), ("x", b"\xff\0a"), ("empty", b"")]);
        let bytes = serialize(&map);
        assert_eq!(bytes[..4], [3, 0, 0, 0]);
        assert_eq!(deserialize(&bytes), Some(map));
        assert_eq!(deserialize(&[]), Some(Headers::new()));
        assert_eq!(deserialize(&[0, 0, 0, 0]), Some(Headers::new()));
    }

    #[test]
    fn a_map_cut_anywhere_is_refused() {
        let bytes = serialize(&Headers::from(&[("name", "value")]));
        for end in 1..bytes.len() {
            assert_eq!(deserialize(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(deserialize(&[255; 8]), None);
    }
}
