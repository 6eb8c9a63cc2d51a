//! Names of models, and the addresses that are made of them: maps, percent-encoding, base URLs.
//!
//! The input is lines: the model's name, then pairs of what a map has.
#![no_main]

use ai_proxy::base_url::BaseUrl;
use ai_proxy::names::Names;
use libfuzzer_sys::fuzz_target;
use shared::percent::{decode, encode};
use shared::small_map::SmallMap;

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let model = lines.next().unwrap_or_default();
    let encoded = encode(model);
    assert_eq!(decode(&encoded), model);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()), "{encoded}");
    assert!(!encoded.contains(['/', '?', '#']), "{encoded}");
    let _ = decode(model);
    let mut map = SmallMap::new();
    while let (Some(from), Some(to)) = (lines.next(), lines.next()) {
        map.insert(from.to_owned(), to.to_owned());
    }
    if let Ok(base) = BaseUrl::parse(model) {
        assert!(!base.authority.is_empty() && !base.authority.contains(['/', '@']), "{base:?}");
        let again = format!("{}://{}{}", base.scheme, base.authority, base.path);
        assert_eq!(BaseUrl::parse(&again).as_ref(), Ok(&base));
        assert!(base.address().starts_with(&base.authority));
    }
    let exact = map.get(model).filter(|_| !model.starts_with('~') && !model.ends_with('*'));
    let exact = exact.cloned();
    match Names::new(map, "models") {
        Ok(names) => {
            let name = names.of(model);
            assert!(exact.is_none_or(|exact| exact == name), "{name}");
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
});
