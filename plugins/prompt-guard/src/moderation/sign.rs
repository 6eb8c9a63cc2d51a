//! Signatures of Alibaba Cloud (`ACS3-HMAC-SHA256`) and Tencent Cloud (`TC3-HMAC-SHA256`): the canonical
//! request of Amazon's, signed in other ways.
//!
//! Sources: <https://help.aliyun.com/document_detail/2592942.html>,
//! <https://cloud.tencent.com/document/api/1124/51878>.

use shared::host::Call;
use shared::sigv4::{Signable, canonical_request, encode, hmac, sha256};
use shared::text::hex;
use shared::time;

/// Adds the headers that Alibaba Cloud asks for.
pub(super) fn acs3(call: &mut Call, id: &str, secret: &str, now: u64, nonce: u64) {
    call.headers.extend([
        ("x-acs-action".to_owned(), "TextModerationPlus".to_owned()),
        ("x-acs-version".to_owned(), "2022-03-02".to_owned()),
        ("x-acs-date".to_owned(), time::written(now)),
        ("x-acs-signature-nonce".to_owned(), format!("{nonce:016x}{now:x}")),
        ("x-acs-content-sha256".to_owned(), sha256(&call.body)),
    ]);
    let (canonical, signed) = canonical(call, |name| name.starts_with("x-acs-"));
    let to_sign = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
    let signature = hex(&hmac(secret.as_bytes(), &to_sign));
    let value =
        format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={signed},Signature={signature}");
    call.headers.push(("authorization".to_owned(), value));
}

/// Adds the headers that Tencent Cloud asks for.
pub(super) fn tc3(call: &mut Call, id: &str, secret: &str, region: &str, now: u64) {
    let time = time::written(now);
    let date = time.split('T').next().unwrap_or_default();
    let (canonical, signed) = canonical(call, |_| false);
    let scope = format!("{date}/tms/tc3_request");
    let hash = sha256(canonical.as_bytes());
    let to_sign = format!("TC3-HMAC-SHA256\n{now}\n{scope}\n{hash}");
    let first = format!("TC3{secret}").into_bytes();
    let parts = [date, "tms", "tc3_request"];
    let key = parts.iter().fold(first, |key, part| hmac(&key, part).to_vec());
    let signature = hex(&hmac(&key, &to_sign));
    let value = format!(
        "TC3-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"
    );
    call.headers.extend([
        ("authorization".to_owned(), value),
        ("x-tc-action".to_owned(), "TextModeration".to_owned()),
        ("x-tc-version".to_owned(), "2020-12-29".to_owned()),
        ("x-tc-timestamp".to_owned(), now.to_string()),
        ("x-tc-region".to_owned(), region.to_owned()),
    ]);
}

/// The canonical request with the host, the content type and these headers, and their names.
fn canonical(call: &Call, also: impl Fn(&str) -> bool) -> (String, String) {
    let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers: Vec<_> =
        headers.filter(|(name, _)| *name == "content-type" || also(name)).collect();
    headers.push(("host", &call.authority));
    let request = Signable {
        method: &call.method,
        host: &call.authority,
        path: &call.path,
        headers: &[],
        body: &call.body,
        now: 0,
    };
    canonical_request(&request, &headers)
}

/// Percent-encoded, as a value of a form.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.bytes().for_each(|byte| encode(byte, &mut out));
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call(authority: &str, content_type: &str, body: &str) -> Call {
        Call {
            upstream: "u".into(),
            scheme: "https".into(),
            authority: authority.into(),
            method: "POST".into(),
            path: "/".into(),
            headers: vec![("content-type".into(), content_type.into())],
            body: body.as_bytes().to_vec(),
            timeout: Duration::from_secs(1),
        }
    }

    fn header<'a>(call: &'a Call, name: &str) -> &'a str {
        &call.headers.iter().find(|header| header.0 == name).unwrap().1
    }

    // Both signatures were computed by the providers' published algorithms in another language.
    #[test]
    fn alibabas_signature() {
        let body = "Service=llm_query_moderation&ServiceParameters=%7B%22content%22%3A%22hi%22%7D";
        let form = "application/x-www-form-urlencoded";
        let mut call = call("green-cip.cn-shanghai.aliyuncs.com", form, body);
        acs3(&mut call, "id", "secret", 1_700_000_000, 7);
        assert_eq!(header(&call, "x-acs-date"), "2023-11-14T22:13:20Z");
        assert_eq!(
            header(&call, "authorization"),
            concat!(
                "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=content-type;host;x-acs-action;",
                "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,",
                "Signature=48c4d3299058539efb8c5a4fe1f52e2009ae599511e7eac3a246a13eefd4269c"
            )
        );
    }

    #[test]
    fn tencents_signature() {
        let mut call = call("tms.tencentcloudapi.com", "application/json", r#"{"Content":"aGk="}"#);
        tc3(&mut call, "id", "secret", "ap-guangzhou", 1_700_000_000);
        assert_eq!(
            header(&call, "authorization"),
            concat!(
                "TC3-HMAC-SHA256 Credential=id/2023-11-14/tms/tc3_request, ",
                "SignedHeaders=content-type;host, ",
                "Signature=58b054f0a4b975b074f4128e5cab067ecb8ae05e438857c81b6d0ba326e03e17"
            )
        );
    }
}
