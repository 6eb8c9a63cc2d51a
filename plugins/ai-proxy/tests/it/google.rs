//! Google's service accounts; the expected signature is OpenSSL's, see `google/README.md`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ai_proxy::auth::google::{ServiceAccount, Token, TokenError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey;
use rsa::sha2::Sha256;
use rsa::signature::Verifier;
use serde_json::{Value, json};
use shared::config::Secret;

const KEY: &str = include_str!("../google/key.pem");
const GOLDEN: &str = include_str!("../google/golden.jwt");
const NOW: u64 = 1_700_000_000;

fn key_file() -> Value {
    json!({
        "type": "service_account",
        "project_id": "example",
        "private_key_id": "0123456789abcdef",
        "private_key": KEY,
        "client_email": "gateway@example.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com"
    })
}

fn with(field: &str, value: Value) -> String {
    let mut file = key_file();
    file[field] = value;
    file.to_string()
}

fn account() -> ServiceAccount {
    ServiceAccount::parse(&key_file().to_string()).unwrap()
}

#[test]
fn the_claim_is_signed_as_openssl_signs_it() {
    assert_eq!(account().assertion(NOW).unwrap(), GOLDEN.trim());
}

#[test]
fn the_signature_verifies_with_the_public_key_and_covers_the_claim() {
    let public = include_str!("../google/public.pem");
    let public = rsa::PublicKey::from_public_key_pem(public).unwrap();
    let key = VerifyingKey::<Sha256>::new(public);
    let jwt = account().assertion(NOW + 1).unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = Signature::try_from(&*signature).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
    let other = account().assertion(NOW).unwrap();
    let (other, _) = other.rsplit_once('.').unwrap();
    assert!(key.verify(other.as_bytes(), &signature).is_err());
}

#[test]
fn the_request_is_a_form() {
    let body = account().token_request(NOW).unwrap();
    let expected = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
        GOLDEN.trim()
    );
    assert_eq!(body, expected);
    assert_eq!(account().token_uri(), "https://oauth2.googleapis.com/token");
}

#[test]
fn line_breaks_escaped_twice_are_mended() {
    let file = with("private_key", KEY.replace('\n', "\\n").into());
    assert_eq!(ServiceAccount::parse(&file).unwrap().assertion(NOW).unwrap(), GOLDEN.trim());
}

#[test]
fn nothing_that_is_printed_shows_the_key() {
    let account = account();
    let printed = format!("{account:?}");
    assert!(printed.contains("gateway@example.iam.gserviceaccount.com"), "{printed}");
    assert!(printed.len() < 200 && !printed.contains("MII"), "{printed}");
    let token = Token { value: Secret::new("ya29.secret"), expires_at: 0 };
    assert!(!format!("{token:?}").contains("secret"));
}

#[test]
fn errors_name_the_field_and_never_its_value() {
    let damaged = KEY.replacen("MII", "MIJ", 1);
    let cut: String = KEY.chars().take(900).collect();
    let pkcs1 = KEY.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let encrypted = KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (file, expected) in [
        (with("type", json!("authorized_user")), "type: is a person's login"),
        (with("type", json!("external_account")), "type: is workload identity federation"),
        (with("type", json!("SECRET")), "type: must be `service_account`"),
        (with("type", Value::Null), "type: is missing"),
        (with("client_email", Value::Null), "client_email: is missing"),
        (with("client_email", json!("")), "client_email: is missing"),
        (with("client_email", json!(5)), "client_email: expected a string, found a number"),
        (with("private_key", Value::Null), "private_key: is missing"),
        (with("private_key", json!("SECRET")), "private_key: is not a key in PEM form"),
        (with("private_key", json!({"SECRET": 1})), "private_key: expected a string"),
        (with("private_key", json!(damaged)), "private_key: is damaged"),
        (with("private_key", json!(cut)), "private_key: is damaged"),
        (with("private_key", json!(pkcs1)), "private_key: is PKCS #1"),
        (with("private_key", json!(encrypted)), "private_key: is encrypted"),
        (with("token_uri", json!("http://SECRET")), "token_uri: must begin with https://"),
        ("SECRET".into(), "expected value"),
        ("[]".into(), "expected an object"),
        (String::new(), "EOF"),
    ] {
        let error = ServiceAccount::parse(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} instead of {expected}");
        assert!(!error.contains("SECRET") && !error.contains("MII"), "{error}");
        assert!(error.len() < 200, "{error}");
    }
}

#[test]
fn a_token_is_replaced_five_minutes_before_its_end() {
    let body = r#"{"access_token":"ya29.c.abc-_","expires_in":3599,"token_type":"Bearer"}"#;
    let token = Token::read(200, body, NOW).unwrap();
    assert_eq!(token.value.expose(), "ya29.c.abc-_");
    assert_eq!(token.expires_at, NOW + 3599);
    assert!(token.fresh(NOW) && token.fresh(NOW + 3298));
    assert!(!token.fresh(NOW + 3299) && token.usable(NOW + 3598) && !token.usable(NOW + 3599));
    let far = Token { value: Secret::new("t"), expires_at: u64::MAX };
    assert!(far.fresh(0) && !far.fresh(u64::MAX));
}

#[test]
fn what_google_refuses_is_told_from_what_failed() {
    let refused = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    assert_eq!(
        Token::read(400, refused, NOW),
        Err(TokenError::Refused("invalid_grant: Invalid JWT Signature.".into()))
    );
    let long = format!(r#"{{"error":"x\n","error_description":"{}"}}"#, "y".repeat(5000));
    let Err(TokenError::Refused(why)) = Token::read(401, &long, NOW) else { panic!() };
    assert!(why.starts_with("x: y") && why.len() == 200);
    for (status, body) in [
        (503, r#"{"error":"internal_failure"}"#),
        (429, r#"{"error":"rate_limit_exceeded"}"#),
        (502, "<html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"access_token":""}"#),
        (200, r#"{"access_token":"a\r\nb: c"}"#),
        (200, r#"{"access_token":"t","token_type":"mac"}"#),
        (200, r#"{"access_token":"t","access_token":"u"}"#),
        (404, r#"{"access_token":"t"}"#),
    ] {
        let error = Token::read(status, body, NOW).unwrap_err();
        assert!(matches!(&error, TokenError::Failed(_)), "{body}: {error:?}");
    }
    let no_lifetime = Token::read(200, r#"{"access_token":"t"}"#, NOW).unwrap();
    assert_eq!(no_lifetime.expires_at, NOW + 3600);
}
