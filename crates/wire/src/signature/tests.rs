//! Known answers, and a receiver's verification.

use std::time::Duration;

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

const AT: Timestamp = Timestamp::from_micros(1_793_606_400_700_000);
const TOLERANCE: Duration = Duration::from_secs(300);

#[test]
fn the_known_answer_of_the_contract() {
    let key = SigningKey::new(&secret("your_primary_secret"));
    let signature = key.akeneo(br#"{"a":1}"#);
    assert_eq!(signature, "e07da89f9169bfea31192fda579e9ad8b7d5fec7ea771dae231e23f3bf01d24a");
    key.verify_akeneo(signature.as_bytes(), br#"{"a":1}"#).unwrap();
    assert_eq!(key.verify_akeneo(signature.as_bytes(), br#"{"a":2}"#), Err(SignatureError::Mismatch));
    let upper = signature.to_uppercase();
    assert!(matches!(key.verify_akeneo(upper.as_bytes(), br#"{"a":1}"#), Err(SignatureError::Malformed { .. })));
    assert!(matches!(key.verify_akeneo(b"", br#"{"a":1}"#), Err(SignatureError::Malformed { .. })));
}

#[test]
fn an_attempt_carries_both_kinds_of_signature() {
    let signer = Signer::new(&secret("first"), Some(&secret("whsec_c2Vjb25k")));
    let signed = signer.sign("id 1%é", AT, b"{}");
    // Created with OpenSSL: printf 'id%%201%%25%%C3%%A9.1793606400.{}' | openssl dgst -sha256 -hmac SECRET -binary |
    // base64
    let headers: Vec<_> = signed.headers().collect();
    assert_eq!(
        headers,
        [
            ("x-akeneo-signature-primary", "1a622d22c97781330a4b238d7aa9ee5fa17bae5a3f4de330ee27097d9ab280d7"),
            ("x-akeneo-signature-secondary", "197aeec7d244a87f9543d84a2756f8094e307edb5cbc4e5ee35b19be1c34f59d"),
            ("x-akeneo-signature-algorithm", "HmacSHA256"),
            ("webhook-id", "id%201%25%C3%A9"),
            ("webhook-timestamp", "1793606400"),
            (
                "webhook-signature",
                "v1,CtYrIFA/nNLZ5DHuyMGONk5soB+yOPorZi41+bUHEUM= v1,MBK7Qz6A3KeZ9BHIrqfUDPQCDAPj1ceF8cUfbAtX/0g="
            ),
        ]
    );
    for text in ["first", "whsec_c2Vjb25k"] {
        let key = SigningKey::new(&secret(text));
        let parts = (headers[3].1.as_bytes(), headers[4].1.as_bytes(), headers[5].1.as_bytes());
        key.verify_standard(parts, b"{}", AT, TOLERANCE).unwrap();
        assert_eq!(key.verify_standard(parts, b"{} ", AT, TOLERANCE), Err(SignatureError::Mismatch));
        let late = AT + Duration::from_secs(301);
        let stale = SignatureError::Stale { seconds: 301, allowed: 300 };
        assert_eq!(key.verify_standard(parts, b"{}", late, TOLERANCE), Err(stale));
        let unknown = (parts.0, parts.1, b"v2,abc".as_slice());
        assert!(matches!(key.verify_standard(unknown, b"{}", AT, TOLERANCE), Err(SignatureError::Malformed { .. })));
    }
    let other = SigningKey::new(&secret("third"));
    let parts = (headers[3].1.as_bytes(), headers[4].1.as_bytes(), headers[5].1.as_bytes());
    assert_eq!(other.verify_standard(parts, b"{}", AT, TOLERANCE), Err(SignatureError::Mismatch));
}

#[test]
fn two_ids_never_become_one_and_none_ends_before_its_end() {
    let check = |id: &str, expect: &str| assert_eq!(header_id(id), expect);
    check("Az09-_", "Az09-_");
    check("é-1", "%C3%A9-1");
    check("%C3%A9-1", "%25C3%25A9-1");
    check("1.2 ~/:", "1%2E2%20%7E%2F%3A");
    // An id with a `.` must not verify for another id and body.
    let signer = Signer::new(&secret("first"), None);
    let dotted = signer.sign("1.1793606400.{}", AT, b"x");
    let plain = signer.sign("1", AT, b"{}.1793606400.x");
    assert_ne!(dotted.webhook_signature, plain.webhook_signature);
}

#[test]
fn an_empty_second_secret_is_none() {
    let signed = Signer::new(&secret("first"), Some(&secret(""))).sign("1", AT, b"{}");
    assert_eq!(signed.secondary, None);
    assert!(!signed.webhook_signature.contains(' '));
}

#[test]
fn the_events_api_is_verified_over_timestamp_and_body() {
    let key = SigningKey::new(&secret("secret"));
    let signature = key.events_api("1793606400", b"");
    // Created with OpenSSL: printf '1793606400.' | openssl dgst -sha256 -hmac secret
    assert_eq!(signature, "d0b8fe9f1e32ec6ffa22d6f08d1e44b7fa3a73fb5cf94ae572aef8e10231f019");
    let check = |timestamp: &[u8], body: &[u8], seconds_later: i64| {
        let now = Timestamp::from_micros(AT.as_micros() + seconds_later * 1_000_000);
        key.verify_events_api(timestamp, signature.as_bytes(), body, now, TOLERANCE)
    };
    assert_eq!(check(b"1793606400", b"", 0), Ok(()));
    assert_eq!(check(b"1793606400", b"", 300), Ok(()));
    assert_eq!(check(b"1793606400", b"", -300), Ok(()));
    assert_eq!(check(b"1793606400", b"", -301), Err(SignatureError::Stale { seconds: 301, allowed: 300 }));
    assert_eq!(check(b"1793606401", b"", 0), Err(SignatureError::Mismatch));
    assert_eq!(check(b"1793606400", b"x", 0), Err(SignatureError::Mismatch));
    assert_eq!(check(b"+1793606400", b"", 0), Err(SignatureError::MalformedTimestamp));
    assert_eq!(check(b"", b"", 0), Err(SignatureError::MalformedTimestamp));
    assert_eq!(check(b"99999999999999999999", b"", 0), Err(SignatureError::MalformedTimestamp));
}
