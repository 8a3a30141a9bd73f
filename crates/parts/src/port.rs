//! Ports below the ephemeral range: a client that tries to reach a stopped server there cannot accidentally connect to
//! itself, and the server finds its port free when it returns.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

/// Linux assigns ports from 32768 on to clients.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port without a listener. Test programs start at different ports, and none gets the same port twice.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Spreads neighbouring process ids.
    let begin = std::process::id().wrapping_mul(7919) % u32::from(span);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % span;
        let port = PORTS.start + ((begin as u16) + step) % span;
        // Some parts listen on all addresses.
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// Waits until a port of 127.0.0.1 accepts connections.
pub fn accepts(port: u16, at_most: Duration) -> anyhow::Result<()> {
    let by = Instant::now() + at_most;
    while Instant::now() < by {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("nothing listens on port {port} after {} s", at_most.as_secs())
}
