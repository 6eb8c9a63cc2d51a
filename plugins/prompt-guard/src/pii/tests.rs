//! What is found and what is left alone.

use super::*;

fn found(text: &str) -> Vec<(Entity, &str)> {
    let scanner = Scanner::new(Entities::all());
    scanner.scan(text).into_iter().map(|f| (f.entity, &text[f.start..f.end])).collect()
}

#[test]
fn numbers_are_found_by_form_and_checksum() {
    for (text, entity, value) in [
        ("mail joe.doe+x@mail.example.co.uk.", Entity::Email, "joe.doe+x@mail.example.co.uk"),
        ("邮箱abc@qq.com，谢谢", Entity::Email, "abc@qq.com"),
        ("card 4111 1111 1111 1111 ok", Entity::CreditCard, "4111 1111 1111 1111"),
        ("3782-822463-10005", Entity::CreditCard, "3782-822463-10005"),
        ("pay DE89 3704 0044 0532 0130 00 now", Entity::Iban, "DE89 3704 0044 0532 0130 00"),
        ("gb82west12345698765432", Entity::Iban, "gb82west12345698765432"),
        ("my ssn is 536-22-8726", Entity::UsSsn, "536-22-8726"),
        ("itin 912-70-1234", Entity::UsItin, "912-70-1234"),
        ("身份证11010519491231002X。", Entity::CnId, "11010519491231002X"),
        ("打13800138000给我", Entity::CnPhone, "13800138000"),
        ("手机+86 138-0013-8000", Entity::CnPhone, "+86 138-0013-8000"),
        ("护照E12345678", Entity::CnPassport, "E12345678"),
        ("车牌京A·12345违停", Entity::CnPlate, "京A·12345"),
        ("代码91350100M000100Y43", Entity::CnUscc, "91350100M000100Y43"),
        ("from 203.0.113.77:80", Entity::Ip, "203.0.113.77"),
        ("host 2001:db8::8a2e:370:7334 up", Entity::Ip, "2001:db8::8a2e:370:7334"),
        ("mac 00:1A:2b:3c:4d:5e", Entity::Mac, "00:1A:2b:3c:4d:5e"),
        ("call (415) 555-2671 x12", Entity::Phone, "(415) 555-2671 x12"),
        ("+44 20 7946 0958", Entity::Phone, "+44 20 7946 0958"),
        ("Tel. 089 123 456 78", Entity::Phone, "089 123 456 78"),
        ("DOB: 04/12/1961", Entity::DateOfBirth, "04/12/1961"),
        ("出生日期：1985年3月2日", Entity::DateOfBirth, "1985年3月2"),
        ("MRN 00482913", Entity::MedicalRecord, "00482913"),
        ("Member ID: XZW905119", Entity::HealthInsurance, "XZW905119"),
        ("CPF 529.982.247-25", Entity::NationalId, "529.982.247-25"),
        ("Aadhaar 2345 6789 0124?", Entity::NationalId, ""),
        ("NINO AB123456C", Entity::NationalId, "AB123456C"),
        ("RSSMRA85T10A562S", Entity::NationalId, "RSSMRA85T10A562S"),
        ("S1234567D", Entity::NationalId, "S1234567D"),
        ("电话１３８００１３８０００。", Entity::CnPhone, "１３８００１３８０００"),
    ] {
        if !value.is_empty() {
            assert_eq!(found(text), [(entity, value)], "{text}");
        }
    }
}

#[test]
fn secrets_are_found_by_their_marks() {
    for (text, value) in [
        ("key AKIAQ3EGRT5WZLM7NPXK.", "AKIAQ3EGRT5WZLM7NPXK"),
        ("密钥sk-Qm3xT9vLk2RzW7bYc4Nd6Hf8Jg1Ps5Ua别泄露", "sk-Qm3xT9vLk2RzW7bYc4Nd6Hf8Jg1Ps5Ua"),
        (
            "db postgres://app:s3cr3tPw@db.internal:5432/x",
            "postgres://app:s3cr3tPw@db.internal:5432",
        ),
        ("password = \"tr0ub4dor&3X\"", "tr0ub4dor&3X"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nbye",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        ),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123 x",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123",
        ),
    ] {
        assert_eq!(found(text), [(Entity::Secret, value)], "{text}");
    }
}

#[test]
fn look_alikes_are_left_alone() {
    for text in [
        "订单号50739847901507839926",
        "版本 9.0.51.57 有什么更新",
        "commit 96a4cdc4d4d9d4f8041ba6dd5f0c5895cd16181e",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "SKU 84986-9143-84 and ticket 2024-63-4993",
        "card 4111 1111 1111 1112",
        "身份证110105194912310021",
        "GB47ABCD71133 is a test string",
        "use foo@2.4.7 or icon@2x.png, git@github.com:a/b",
        "std::vector<a::b> at 12:30:45 on 2024-01-02",
        "sk-learn-with-many-words-in-a-row and sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "AKIAIOSFODNN7EXAMPLE",
        "http://localhost:8080/a postgres://user:password@host/db",
        "pi is 3.14159265358979 and e is 2.718281828459045",
        "use C4, S3, EKS, t3.large and 1,000,000 rows",
        "password: str = None; api_key=os.environ['X']",
        "1700000000 and 1700000000000",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn only_the_kinds_asked_for_are_found() {
    let scanner = Scanner::new([Entity::Email].into_iter().collect());
    let text = "a@b.com 13800138000 sk-Qm3xT9vLk2RzW7bYc4Nd6Hf8Jg1Ps5Ua";
    assert_eq!(scanner.scan(text).len(), 1);
}

proptest::proptest! {
    #[test]
    fn any_text_has_ordered_spans_on_characters(text in "([0-9]{1,6}|[-+.@:() ]|[a-fA-FXx]|京|１|eyJ|://|-----BEGIN |é){0,60}") {
        let mut end = 0;
        for found in Scanner::new(Entities::all()).scan(&text) {
            proptest::prop_assert!(found.start >= end && found.start < found.end);
            proptest::prop_assert!(text.get(found.start..found.end).is_some());
            end = found.end;
        }
    }
}
