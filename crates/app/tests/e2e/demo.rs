//! `postrider demo` prints the expected results, and ends by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::running::postrider;

#[test]
fn the_demo_ends_by_itself_with_every_event_verified() {
    let output = postrider(&["demo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("delivered, signatures verified").count(), 13, "{text}");
    assert_eq!(text.matches("  filtered out").count(), 4, "{text}");
    assert!(text.contains("postrider serve"), "{text}");
}

#[test]
fn the_kept_demo_prints_a_console_link_that_is_signed_in() {
    let mut child = postrider(&["demo", "--keep"]).stdout(Stdio::piped()).spawn().unwrap();
    // Open until the end: the demo writes on.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let link = lines.by_ref().map(|line| line.trim().to_owned()).find(|line| line.contains("/console/link#"));
    let link = link.expect("no link before the demo ended");
    let (page, secret) = link.split_once('#').unwrap();
    let address = page.strip_prefix("http://").unwrap().strip_suffix("/console/link").unwrap();
    let body = format!("{{\"secret\":\"{secret}\",\"framed\":false}}");
    let opened = exchange(
        address,
        &format!("POST /console/link HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len()),
        &body,
    );
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    let (_, rest) = opened.split_once("set-cookie: ").expect("no cookie");
    let cookie = rest.split(';').next().unwrap();
    let page = exchange(address, &format!("GET /console/subscriptions HTTP/1.1\r\ncookie: {cookie}\r\n"), "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("/webhook</a>"), "{page}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A request on a connection of its own.
fn exchange(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}host: {address}\r\nconnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
