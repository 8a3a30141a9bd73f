//! Tests of what is passed to hyper and what ends a connection.

use super::*;

/// Bytes passed to hyper for these pieces, and the fault that ends the connection.
fn follow(pieces: &[&[u8]]) -> (Vec<u8>, Option<Fault>) {
    let (mut heads, mut passed) = (Heads::default(), Vec::new());
    for piece in pieces {
        match heads.take(piece) {
            Taken::Pass(length) => passed.extend_from_slice(&piece[..length]),
            Taken::Instead(bytes) => passed.extend_from_slice(&bytes),
        }
    }
    (passed, heads.fault().cloned())
}

/// The result is the same whether the bytes arrive at once, one by one, or in two pieces.
#[track_caller]
fn check(bytes: &[u8], passed: &[u8], fault: Option<Code>) {
    let expect = (passed.to_vec(), fault);
    let got = |pieces: &[&[u8]]| {
        let (passed, fault) = follow(pieces);
        (passed, fault.map(|fault| fault.code))
    };
    assert_eq!(got(&[bytes]), expect, "at once: {}", String::from_utf8_lossy(bytes));
    assert_eq!(got(&bytes.chunks(1).collect::<Vec<_>>()), expect, "one by one: {}", String::from_utf8_lossy(bytes));
    for middle in 0..bytes.len() {
        assert_eq!(got(&[&bytes[..middle], &bytes[middle..]]), expect, "in two pieces, the first {middle} bytes long");
    }
}

#[track_caller]
fn passes(bytes: &[u8]) {
    check(bytes, bytes, None);
}

#[track_caller]
fn refused(bytes: &[u8], code: Code) {
    check(bytes, b"", Some(code));
}

#[test]
fn requests_pass_as_they_are() {
    passes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes(b"GET / HTTP/1.1\nHost: a\n\nGET / HTTP/1.0\n\n");
    passes(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}");
    passes(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nGET /\r\nA \
          \r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    passes(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

#[test]
fn incomplete_heads_are_kept() {
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None);
    check(b"PRI * HTTP/2.0\r\n\r\nS", b"", None);
}

#[test]
fn http_2_passes_unseen() {
    passes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand anything \r\n\r\n behind it");
}

#[test]
fn a_request_has_one_valid_host() {
    refused(b"GET / HTTP/1.1\r\n\r\n", because::INVALID_HOST);
    refused(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", because::INVALID_HOST);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", because::INVALID_HOST);
    refused(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", because::INVALID_HOST);
    passes(b"GET http://a.example/ HTTP/1.1\r\nHost: b\r\n\r\n");
    passes(b"GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn chunked_is_the_only_transfer_coding() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n").into_bytes();
    refused(&with("Transfer-Encoding: gzip, chunked"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(&with("Transfer-Encoding: gzip"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(&with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(&with("Transfer-Encoding: identity"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(&with("Transfer-Encoding: chunked, chunked"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(&with("Transfer-Encoding:"), because::UNSUPPORTED_TRANSFER_CODING);
    refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", because::MALFORMED_REQUEST);
}

#[test]
fn a_body_has_one_length() {
    let with =
        |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n5\r\nabcde\r\n0\r\n\r\n").into_bytes();
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: five",
        "Content-Length: 99999999999999999999",
    ] {
        refused(&with(fields), because::MALFORMED_REQUEST);
    }
}

#[test]
fn unreadable_heads_are_malformed() {
    for bytes in [
        &b"G\0T / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: y\r\n\r\n",
        b"GET / HTTP/9.1\r\nHost: a\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let (passed, fault) = follow(&[bytes]);
        assert_eq!((passed, fault.map(|fault| fault.code)), (vec![], Some(because::MALFORMED_REQUEST)), "{bytes:?}");
    }
}

#[test]
fn a_head_has_bounds() {
    let with = |headers: usize| {
        let others: String = (1..headers).map(|index| format!("x-{index}: 1\r\n")).collect();
        let (_, fault) = follow(&[format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n").as_bytes()]);
        fault.map(|fault| fault.code)
    };
    assert_eq!((with(MAX_HEADERS), with(MAX_HEADERS + 1)), (None, Some(because::TOO_MANY_HEADERS)));
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "y".repeat(MAX_HEAD));
    for piece in [endless.len(), 1000] {
        let (passed, fault) = follow(&endless.as_bytes().chunks(piece).collect::<Vec<_>>());
        assert_eq!((passed, fault.map(|fault| fault.code)), (vec![], Some(because::HEAD_TOO_LARGE)));
    }
}

#[test]
fn requests_before_a_bad_one_pass() {
    let good = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    let both = [&good[..], b"GET / HTTP/1.1\r\n\r\n", good].concat();
    check(&both, good, Some(because::INVALID_HOST));
}
