//! What an unauthenticated client can make the real binary do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::running::Running;

/// An HTTP/2 frame on stream 0.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat()
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// The HTTP/2 library logs each acknowledgement of an unsent PING at `warn`.
#[test]
fn stray_pings_write_nothing_to_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start_in(folder.path(), &[], &[("KEEP_THE_LOG", "yes")]);
    let mut stream = TcpStream::connect(&platform.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, &[]));
    for _ in 0..5_000 {
        bytes.extend(frame(PING, ACK, b"not sent"));
    }
    bytes.extend(frame(PING, 0, b"the last"));
    stream.write_all(&bytes).unwrap();
    // Its response shows that everything before it was read.
    let answer = frame(PING, ACK, b"the last");
    let mut came = Vec::new();
    while !came.windows(answer.len()).any(|window| window == answer) {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection was closed after {came:?}");
        came.extend_from_slice(&piece[..read]);
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.lines().count() < 10, "{} lines, the first: {:?}", log.lines().count(), log.lines().next());
}
