//! Credentials of clouds: Google's keys and tokens are read or refused, never with their secret in
//! the reason; what is signed for Amazon is the same each time and fits into headers.
//!
//! The input is a path up to the first line break, then a document or body.
#![no_main]

use ai_proxy::auth::google::{ServiceAccount, Token};
use libfuzzer_sys::fuzz_target;
use shared::config::Secret;
use shared::sigv4::{Signable, Signer};

fuzz_target!(|input: &str| {
    let (path, text) = input.split_once('\n').unwrap_or((input, ""));
    match ServiceAccount::parse(text) {
        Ok(account) => assert!(account.token_uri().starts_with("https://")),
        Err(error) => assert!(!error.message.is_empty()),
    }
    for status in [200, 400] {
        if let Ok(token) = Token::read(status, text, 1_760_000_000) {
            assert_eq!(status, 200);
            assert!(token.usable(1_760_000_000) || !token.fresh(1_760_000_000));
        }
    }
    let token = Some(Secret::new("token"));
    let signer =
        Signer::new(Secret::new("AKIA"), Secret::new("key"), token, "eu-west-1", "bedrock");
    let signable = Signable {
        method: "POST",
        host: "bedrock-runtime.eu-west-1.amazonaws.com",
        path,
        headers: &[("content-type", "application/json")],
        body: text.as_bytes(),
        now: 1_760_000_000,
    };
    let headers = signer.headers(&signable);
    assert_eq!(signer.headers(&signable), headers);
    for (name, value) in &headers {
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value}");
    }
});
