//! Tokens of issuers: signatures by the examples of the standards, claims, and tricks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use ai_auth::configure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::host::script::ScriptHost;
use shared::host::{Body, CallId, Capability, Map};
use shared::plugin::Plugin;
use shared::testing::{called, chat_host, exchange_of, plugin, send, sent};

const BODY: &str = r#"{"model":"gpt-4o","messages":[]}"#;
/// The host's clock, in seconds.
const NOW: i64 = 1_760_000_000;
const SECRET: &str = "a-secret-of-more-than-32-characters";

/// RFC 7515, appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

fn rsa_key() -> Value {
    json!({"kty": "RSA", "kid": "r", "n": RSA_N, "e": "AQAB"})
}

fn ec() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

fn ec_key() -> Value {
    let point = ec().verifying_key().to_sec1_point(false);
    let at = |range: std::ops::Range<usize>| B64.encode(&point.as_bytes()[range]);
    json!({"kty": "EC", "crv": "P-256", "kid": "e", "alg": "ES256", "x": at(1..33), "y": at(33..65)})
}

fn ed() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[8; 32])
}

fn ed_key() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": B64.encode(ed().verifying_key().as_bytes())})
}

fn signed(header: Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", B64.encode(signature))
}

fn hs(claims: &Value, secret: &[u8]) -> String {
    signed(json!({"alg": "HS256", "typ": "JWT"}), claims, |text| {
        let mut hmac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap();
        hmac.update(text);
        hmac.finalize().into_bytes().to_vec()
    })
}

fn es(claims: &Value, kid: &str) -> String {
    signed(json!({"alg": "ES256", "kid": kid}), claims, |text| {
        let signature: p256::ecdsa::Signature = ec().sign(text);
        signature.to_bytes().to_vec()
    })
}

fn eddsa(claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": "d"});
    signed(header, claims, |text| ed().sign(text).to_bytes().to_vec())
}

fn claims() -> Value {
    json!({"iss": "https://id", "sub": "alice", "aud": ["gateway", "x"], "exp": NOW + 60})
}

fn changed(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn auth(jwt: Value) -> Rc<dyn Plugin> {
    let mut all = json!({"issuer": "https://id", "audiences": ["gateway"]});
    all.as_object_mut().unwrap().extend(jwt.as_object().unwrap().clone());
    let consumers = json!([{"name": "alice"}, {"name": "others", "allow": {"models": ["gpt-*"]}}]);
    let groups = json!([{"name": "g1"}, {"name": "g2"}]);
    plugin(configure, &json!({"consumers": consumers, "groups": groups, "jwt": [all]}).to_string())
}

fn symmetric() -> Rc<dyn Plugin> {
    auth(json!({"algorithms": ["HS256"], "secret": SECRET}))
}

fn asymmetric() -> Rc<dyn Plugin> {
    auth(json!({"algorithms": ["RS256", "ES256", "EdDSA"],
                "jwks": {"keys": [rsa_key(), ec_key(), ed_key()]}}))
}

fn host(token: &str) -> ScriptHost {
    let host = chat_host();
    host.put(Map::Request, "authorization", &format!("Bearer {token}"));
    host
}

fn ask(auth: &Rc<dyn Plugin>, token: &str) -> bool {
    send(&mut exchange_of(auth), &host(token), BODY)
}

#[test]
fn each_kind_of_signature_is_checked() {
    assert!(ask(&symmetric(), &hs(&claims(), SECRET.as_bytes())));
    assert!(ask(&asymmetric(), &es(&claims(), "e")));
    assert!(ask(&asymmetric(), &eddsa(&claims())));
    assert!(!ask(&symmetric(), &hs(&claims(), b"another-secret-of-more-than-32-chars")));
}

#[test]
fn the_standards_own_token_is_valid_in_its_time() {
    let config = json!({"consumers": [{"name": "joe"}], "jwt": [{"issuer": "joe",
        "algorithms": ["RS256"], "consumer_claim": "iss", "jwks": {"keys": [rsa_key()]}}]});
    let auth = plugin(configure, &config.to_string());
    for (seconds, ok) in [(1_300_819_379, true), (1_300_819_441, false)] {
        let host = host(RSA_TOKEN);
        host.now_nanos.set(seconds * 1_000_000_000);
        assert_eq!(send(&mut exchange_of(&auth), &host, BODY), ok, "{seconds}");
    }
    let mut forged = RSA_TOKEN.to_owned();
    forged.replace_range(60..61, "A");
    let host = host(&forged);
    host.now_nanos.set(1_300_819_379_000_000_000);
    assert!(!send(&mut exchange_of(&auth), &host, BODY));
}

#[test]
fn claims_decide() {
    for (claims, ok) in [
        (claims(), true),
        (changed("exp", json!(NOW - 59)), true),
        (changed("exp", json!(NOW - 61)), false),
        (changed("exp", Value::Null), false),
        (changed("exp", json!("never")), false),
        (changed("nbf", json!(NOW + 61)), false),
        (changed("nbf", json!(NOW + 59)), true),
        (changed("iat", json!(NOW + 600)), false),
        (changed("iss", json!("https://other")), false),
        (changed("aud", json!("gateway")), true),
        (changed("aud", json!("other")), false),
        (changed("aud", Value::Null), false),
        (changed("sub", json!("mallory")), false),
        (changed("sub", json!({"a": 1})), false),
    ] {
        assert_eq!(ask(&symmetric(), &hs(&claims, SECRET.as_bytes())), ok, "{claims}");
    }
}

#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    // No signature at all.
    for alg in ["none", "None", ""] {
        let token = signed(json!({"alg": alg}), &claims(), |_| Vec::new());
        assert!(!ask(&asymmetric(), &token), "{alg}");
    }
    // The public key as a shared secret.
    for secret in [RSA_N.as_bytes(), &B64.decode(RSA_N).unwrap()] {
        assert!(!ask(&asymmetric(), &hs(&claims(), secret)));
    }
    // Another key's signature under this key's name.
    let header = json!({"alg": "EdDSA", "kid": "e"});
    assert!(!ask(&asymmetric(), &signed(header, &claims(), |t| ed().sign(t).to_bytes().to_vec())));
    // A key of the token's own.
    let header = json!({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}});
    let other = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    assert!(!ask(&asymmetric(), &signed(header, &claims(), |t| other.sign(t).to_bytes().to_vec())));
    // Extensions that must be understood.
    let header = json!({"alg": "EdDSA", "crit": ["b64"], "b64": false});
    assert!(!ask(&asymmetric(), &signed(header, &claims(), |t| ed().sign(t).to_bytes().to_vec())));
}

#[test]
fn subjects_groups_tags_and_claims_become_facts() {
    let auth =
        auth(json!({"algorithms": ["HS256"], "secret": SECRET, "default_consumer": "others",
        "groups_claim": "realm.roles", "tags": {"team": "dept"}, "claims": ["plan", "tenant.id"]}));
    let claims = json!({"iss": "https://id", "sub": "u-17", "aud": "gateway", "exp": NOW + 9,
        "realm": {"roles": ["g1", "g2", "a,b"]}, "dept": "r&d", "plan": "gold", "tenant": {"id": 7}});
    let host = host(&hs(&claims, SECRET.as_bytes()));
    assert!(send(&mut exchange_of(&auth), &host, BODY));
    let fact = |name: &str| {
        let value = host.properties.borrow().get(&format!("ai.{name}")).cloned().unwrap();
        String::from_utf8(value).unwrap()
    };
    assert_eq!((fact("consumer"), fact("groups")), ("u-17".into(), "g1,g2".into()));
    assert_eq!(fact("tags"), r#"{"team":"r&d"}"#);
    assert_eq!(fact("claims"), r#"{"plan":"gold","tenant.id":"7"}"#);
    assert_eq!(fact("allowed_models"), "gpt-*", "the rules are those of the default consumer");
}

fn fetching() -> Rc<dyn Plugin> {
    auth(json!({"algorithms": ["ES256"], "jwks_url": {"upstream": "idp", "path": "/jwks"}}))
}

#[test]
fn keys_are_fetched_when_a_request_needs_them_and_on_the_tick() {
    let auth = fetching();
    let set = json!({"keys": [ec_key(), {"kty": "oct", "k": "AAAA"}]}).to_string();
    let waiting = host(&es(&claims(), "e"));
    let mut exchange = exchange_of(&auth);
    waiting.put_body(Body::Request, BODY.as_bytes());
    exchange.request_headers(&waiting, false);
    assert_eq!(waiting.calls.borrow()[0].path, "/jwks");
    assert!(called(&mut exchange, &waiting, 1, 200, &set));
    assert!(ask(&auth, &es(&claims(), "e")), "the next one does not wait");
    // A key that is not there asks once in a while, not each time.
    for _ in 0..5 {
        let host = host(&es(&claims(), "made-up"));
        let went = send(&mut exchange_of(&auth), &host, BODY);
        assert!(!went && host.calls.borrow().is_empty());
    }

    let auth = fetching();
    let ticking = chat_host();
    auth.tick(&ticking);
    auth.tick(&ticking);
    assert_eq!(ticking.calls.borrow().len(), 1);
    let reply = shared::filter::CallReply {
        status: Some(200),
        content_type: "application/json".into(),
        retry_after: None,
        body: set.into_bytes(),
    };
    auth.called(&ticking, CallId(1), reply.clone());
    assert!(ask(&auth, &es(&claims(), "e")));
    // What cannot be read later on takes nothing away.
    ticking.now_nanos.set(ticking.now_nanos.get() + 301_000_000_000);
    auth.tick(&ticking);
    auth.called(&ticking, CallId(2), shared::filter::CallReply { body: b"{}".to_vec(), ..reply });
    assert!(ask(&auth, &es(&claims(), "e")));
}

#[test]
fn a_shared_secret_stays_beside_keys_that_are_fetched() {
    let auth = auth(json!({"algorithms": ["HS256", "ES256"], "secret": SECRET,
                           "jwks_url": {"upstream": "idp", "path": "/jwks"}}));
    let symmetric = hs(&claims(), SECRET.as_bytes());
    assert!(ask(&auth, &symmetric), "before");
    let waiting = host(&es(&claims(), "e"));
    let mut exchange = exchange_of(&auth);
    waiting.put_body(Body::Request, BODY.as_bytes());
    exchange.request_headers(&waiting, false);
    assert!(called(&mut exchange, &waiting, 1, 200, &json!({"keys": [ec_key()]}).to_string()));
    assert!(ask(&auth, &es(&claims(), "e")) && ask(&auth, &symmetric), "after");
}

#[test]
fn without_a_timer_requests_fetch_keys_again() {
    let auth = fetching();
    assert!(auth.needs().is_empty());
    let fetched = |seconds: u64, status: u16, keys: Value| {
        let mut waiting = host(&es(&changed("exp", (NOW + 3600).into()), "e"));
        waiting.cannot.insert(Capability::Tick);
        waiting.now_nanos.set(waiting.now_nanos.get() + seconds * 1_000_000_000);
        waiting.put_body(Body::Request, BODY.as_bytes());
        let mut exchange = exchange_of(&auth);
        exchange.request_headers(&waiting, false);
        if waiting.calls.borrow().is_empty() {
            return (false, waiting.sent.borrow().is_none());
        }
        (true, called(&mut exchange, &waiting, 1, status, &json!({"keys": keys}).to_string()))
    };
    assert_eq!(fetched(0, 200, json!([ec_key()])), (true, true));
    assert_eq!(fetched(200, 200, json!([])), (false, true), "they are fresh");
    assert_eq!(
        fetched(301, 503, json!([])),
        (true, true),
        "the old ones hold if there are no others"
    );
    assert_eq!(fetched(305, 200, json!([])), (false, true), "the issuer is not asked all the time");
    assert_eq!(
        fetched(312, 200, json!([ed_key()])),
        (true, false),
        "a key that is gone is not taken"
    );
}

#[test]
fn an_issuer_that_is_away_is_no_fault_of_the_client() {
    let auth = fetching();
    let waiting = host(&es(&claims(), "e"));
    let mut exchange = exchange_of(&auth);
    waiting.put_body(Body::Request, BODY.as_bytes());
    exchange.request_headers(&waiting, false);
    let refused = |token: &str| {
        let another = host(token);
        assert!(!send(&mut exchange_of(&auth), &another, BODY));
        sent(&another).0
    };
    assert_eq!(refused(&es(&claims(), "e")), 503, "while they are fetched for another");
    assert!(!called(&mut exchange, &waiting, 1, 503, ""));
    assert_eq!(sent(&waiting).0, 503);
    assert_eq!(refused(&es(&claims(), "e")), 503, "which nobody has had");
    assert_eq!(refused(&hs(&claims(), SECRET.as_bytes())), 401, "which no key could help");
}

#[test]
fn a_key_that_is_new_may_be_missing_for_others_while_it_is_fetched() {
    let auth = fetching();
    let asks = |kid: &str| {
        let host = host(&es(&claims(), kid));
        let mut exchange = exchange_of(&auth);
        host.put_body(Body::Request, BODY.as_bytes());
        exchange.request_headers(&host, false);
        (host, exchange)
    };
    let (first, mut exchange) = asks("e");
    let keys = json!({"keys": [ec_key()]}).to_string();
    assert!(called(&mut exchange, &first, 1, 200, &keys));
    let later = |seconds: u64, kid: &str| {
        let host = host(&es(&claims(), kid));
        host.now_nanos.set(host.now_nanos.get() + seconds * 1_000_000_000);
        let mut exchange = exchange_of(&auth);
        host.put_body(Body::Request, BODY.as_bytes());
        exchange.request_headers(&host, false);
        (host, exchange)
    };
    let (waiting, mut exchange) = later(11, "new");
    assert_eq!(waiting.calls.borrow().len(), 1);
    assert_eq!(sent(&later(12, "new").0).0, 503, "it may be there in a moment");
    assert!(ask(&auth, &es(&claims(), "e")), "what is known is not waited for");
    assert!(!called(&mut exchange, &waiting, 1, 200, &keys));
    assert_eq!(sent(&waiting).0, 401, "it is none of the issuer's");
    assert_eq!(sent(&later(13, "new").0).0, 401);
}
