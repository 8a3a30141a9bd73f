//! A scripted name server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sinks::resolve::Resolver;
use tokio::net::UdpSocket;

/// A name server for these names; a name without addresses never gets a response, and one beginning with `half.` only
/// its IPv4 addresses.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    pub(crate) questions: Arc<AtomicUsize>,
}

impl NameServer {
    pub(crate) async fn start(names: &[(&str, &[[u8; 4]])]) -> NameServer {
        let names: HashMap<String, Vec<[u8; 4]>> =
            names.iter().map(|(name, addresses)| ((*name).to_owned(), addresses.to_vec())).collect();
        NameServer::start_at("127.0.0.1:0".parse().unwrap(), names).await
    }

    /// At a predetermined address.
    pub(crate) async fn start_at(address: SocketAddr, names: HashMap<String, Vec<[u8; 4]>>) -> NameServer {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&questions);
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = reply(&packet[..length], &names) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        NameServer { address, questions }
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::with_servers(&[self.address])
    }
}

/// RFC 1035, as far as needed: the question repeated, and A records that point at its name.
fn reply(question: &[u8], names: &HashMap<String, Vec<[u8; 4]>>) -> Option<Vec<u8>> {
    let (mut name, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let length = usize::from(question[at]);
        name.push(String::from_utf8_lossy(&question[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let is_a = question[at + 1..at + 3] == [0, 1];
    let end = at + 5;
    let known = names.get(&name.join("."));
    let is_half = name.first().is_some_and(|label| label == "half");
    if known.is_some_and(Vec::is_empty) || is_half && !is_a {
        return None;
    }
    let addresses: &[[u8; 4]] = known.filter(|_| is_a).map_or(&[], Vec::as_slice);
    let code = if known.is_some() { 0 } else { 3 };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    Some(answer)
}
