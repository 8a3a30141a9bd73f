//! A proxy that delays what it carries, as a longer cable would. In threads: timers of tokio count whole milliseconds.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Adds `delay` to each round trip with a port of this machine; returns the port to connect to. It lives as long as the
/// program.
pub(crate) fn proxy(port: u16, delay: Duration) -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client whose server is gone is closed.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            if carry(client, server, delay).is_err() {
                return;
            }
        }
    });
    Ok(address.port())
}

/// Half of the delay in each direction.
fn carry(client: TcpStream, server: TcpStream, delay: Duration) -> std::io::Result<()> {
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        to.set_nodelay(true)?;
        let (sender, due) = mpsc::channel::<(Instant, Vec<u8>)>();
        let (mut from, mut to) = (from, to);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count) = from.read(&mut buffer)
                && count > 0
                && sender.send((Instant::now() + delay / 2, buffer[..count].to_vec())).is_ok()
            {}
        });
        thread::spawn(move || {
            for (at, bytes) in due {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            // The other direction ends as well; the connection may be gone already.
            _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_takes_longer_by_the_delay() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).unwrap();
            }
        });
        let delay = Duration::from_millis(20);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy(port, delay).unwrap())).unwrap();
        for byte in 0..3 {
            let start = Instant::now();
            stream.write_all(&[byte]).unwrap();
            let mut echoed = [0];
            stream.read_exact(&mut echoed).unwrap();
            assert_eq!(echoed, [byte]);
            assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
        }
    }
}
