//! Names the members of a request that its reader passes over.

use shared::view::Unknown;

/// So many are named; the header has no room for more.
const MOST: usize = 128;

/// Names the members that a view does not know, of the object at `path`, or of its member `within`.
/// `null` and what is empty say nothing.
pub(crate) fn left(dropped: &mut Vec<String>, path: &str, within: &str, rest: &[Unknown<'_>]) {
    let given = |(_, value): &&Unknown<'_>| !matches!(value.get(), "null" | "[]" | "{}");
    for (key, _) in rest.iter().filter(given) {
        let dot = if within.is_empty() { "" } else { "." };
        left_out(dropped, path, &[within, dot, key].concat());
    }
}

/// Names one member of the object at `path`, whichever element of a list that is: `messages[3]` is
/// `messages`.
pub(crate) fn left_out(dropped: &mut Vec<String>, path: &str, key: &str) {
    if dropped.len() > MOST {
        return;
    }
    let mut name = String::with_capacity(path.len() + key.len() + 1);
    let mut within = false;
    for c in path.chars() {
        within |= c == '[';
        if !within {
            name.push(c);
        }
        within &= c != ']';
    }
    if !name.is_empty() {
        name.push('.');
    }
    name.push_str(key);
    if dropped.contains(&name) {
        return;
    }
    dropped.push(if dropped.len() == MOST { "...".to_owned() } else { name });
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::json::parse;
    use shared::protocol::gemini::Members;

    #[test]
    fn members_are_named_once_without_the_places_in_lists() {
        let mut dropped = Vec::new();
        for index in 0..3 {
            let rest = parse::<Members<'_>>(r#"{"a":1,"b":null,"c":[],"d":{},"e":false}"#).unwrap();
            left(&mut dropped, &format!("x[{index}].y[10]"), "", &rest.rest);
            left(&mut dropped, "x[2]", "y", &rest.rest);
        }
        left_out(&mut dropped, "", "top");
        assert_eq!(dropped, ["x.y.a", "x.y.e", "top"]);
    }

    #[test]
    fn what_is_too_much_to_name_is_said_to_be_more() {
        let mut dropped = Vec::new();
        (0..1000).for_each(|number| left_out(&mut dropped, "", &format!("k{number}")));
        assert_eq!(dropped.len(), MOST + 1);
        assert_eq!(dropped.last().unwrap(), "...");
    }
}
