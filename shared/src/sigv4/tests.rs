//! Facts of Amazon's own test suite (`aws-signing-test-suite/v4` of awslabs/aws-c-auth), and of what
//! botocore signs. Values of several lines are left out: HTTP has them no more.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// 2015-08-30T12:36:00Z, the clock of the suite.
const NOW: u64 = 1_440_938_160;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn signer(token: Option<&str>, service: &str) -> Signer {
    let (id, secret) = (Secret::new("AKIDEXAMPLE"), Secret::new(SECRET));
    Signer::new(id, secret, token.map(Secret::new), "us-east-1", service)
}

const VANILLA: Signable<'_> = Signable {
    method: "GET",
    host: "example.amazonaws.com",
    path: "/",
    headers: &[],
    body: b"",
    now: NOW,
};

/// The signed headers and the signature.
fn signed(token: Option<&str>, request: &Signable<'_>) -> (String, String) {
    let headers = signer(token, "service").headers(request);
    let (name, value) = headers.first().unwrap();
    assert_eq!(*name, "authorization");
    let scope = "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
    let rest = value.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().strip_prefix(scope).unwrap();
    let (headers, signature) = rest.split_once(", Signature=").unwrap();
    (headers.strip_prefix("SignedHeaders=").unwrap().to_owned(), signature.to_owned())
}

#[test]
fn paths_and_queries_of_the_suite() {
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    for (name, path, signature) in [
        ("get-vanilla", "/", vanilla),
        ("get-slash-dot-slash-normalized", "/./", vanilla),
        ("get-relative-relative-normalized", "/example1/example2/../..", vanilla),
        (
            "get-slashes-normalized",
            "//example//",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-space-normalized",
            "/example space/",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-utf8",
            "/\u{1234}",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-vanilla-utf8-query",
            "/?\u{1234}=bar",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "get-vanilla-query-order-key-case",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-order-encoded",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
    ] {
        let found = signed(None, &Signable { path, ..VANILLA });
        assert_eq!(found, ("host;x-amz-date".into(), signature.into()), "{name}");
    }
}

#[test]
fn headers_and_bodies_of_the_suite() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(&str, &str, Headers, &str, &str, &str); 6] = [
        (
            "post-vanilla",
            "POST",
            &[],
            "",
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-header-key-sort",
            "POST",
            &[("My-Header1", "value1")],
            "",
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "get-header-value-trim",
            "GET",
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            "",
            "host;my-header1;x-amz-date",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-order",
            "GET",
            &[
                ("My-Header1", "value4"),
                ("My-Header1", "value1"),
                ("My-Header1", "value3"),
                ("My-Header1", "value2"),
            ],
            "",
            "host;my-header1;x-amz-date",
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            &[
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Content-Length", "13"),
                (
                    "x-amz-content-sha256",
                    "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
                ),
            ],
            "Param1=value1",
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
    ];
    for (name, method, headers, body, names, signature) in cases {
        let request = Signable { method, headers, body: body.as_bytes(), ..VANILLA };
        assert_eq!(signed(None, &request), (names.into(), signature.into()), "{name}");
    }
}

#[test]
fn a_session_token_is_signed_and_sent() {
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8";
    let names = "host;x-amz-date;x-amz-security-token";
    assert_eq!(signed(Some(token), &VANILLA), (names.into(), signature.into()));
    let headers = signer(Some(token), "service").headers(&VANILLA);
    assert!(headers.contains(&("x-amz-date", "20150830T123600Z".into())));
    assert!(headers.contains(&("x-amz-security-token", token.into())));
}

/// What botocore 1.44.5 signs for the same requests.
#[test]
fn the_colon_of_a_models_id_is_encoded_twice() {
    let arn = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x";
    for (path, signature) in [
        (
            "/model/amazon.nova-pro-v1%3A0/converse",
            "0a3ec7aba3bf7248191f13611acf5cb0cc141c603a6b8287169d12c1ee266da0",
        ),
        (
            "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse-stream",
            "a88cde9c84149a9b56f1dfbaa179f97efabeb5c697843aa157fd1432fc27a8db",
        ),
        (
            &format!("{arn}/converse"),
            "1d0cecdb1ed34445cb3a51626367c9643ee8c6e484bdc06309547b6fda8e6421",
        ),
    ] {
        let request = Signable {
            method: "POST",
            host: "bedrock-runtime.us-east-1.amazonaws.com",
            path,
            headers: &[("content-type", "application/json")],
            body: b"{\"messages\":[]}",
            // 2026-01-02T03:04:05Z
            now: 1_767_323_045,
        };
        let headers = signer(None, "bedrock").headers(&request);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        );
        let date = "20260102T030405Z".to_owned();
        assert_eq!(headers, [("authorization", expected), ("x-amz-date", date)], "{path}");
    }
}

#[test]
fn the_key_of_a_day_is_kept_and_that_of_another_is_not() {
    let signer = signer(None, "service");
    let first = signer.headers(&VANILLA);
    let kept = signer.key.get().unwrap();
    assert_eq!(signer.headers(&VANILLA), first);
    let tomorrow = Signable { now: NOW + SECONDS_A_DAY, ..VANILLA };
    assert_ne!(signer.headers(&tomorrow), first);
    assert_ne!(signer.key.get().unwrap(), kept);
    assert_eq!(signer.headers(&VANILLA), first);
}

#[test]
fn dates_of_the_calendar() {
    for (now, time) in [
        (0, "19700101T000000Z"),
        (951_782_399, "20000228T235959Z"),
        (951_782_400, "20000229T000000Z"),
        (1_709_251_199, "20240229T235959Z"),
        (1_798_761_599, "20261231T235959Z"),
        (4_107_542_400, "21000301T000000Z"),
    ] {
        assert_eq!(timestamp(now), time);
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", signer(Some("token"), "bedrock"));
    assert_eq!(shown, "Signer(bedrock, us-east-1)");
}
