//! The tunnel, spoken to by hand.

use domain::address::AddressPolicy;

use tokio::time::Instant;

use super::*;
use crate::connect::ConnectError;
use crate::resolve::Resolver;
use crate::tls::TlsClient;

const HOLDER: Holder = Holder { pim: 1, part: 1 };

fn tunnel(connections: usize) -> Tunnel {
    let policy = AddressPolicy::allowing(vec!["127.0.0.1/32".parse().unwrap()]);
    let resolver = Arc::new(Resolver::system());
    let connector = Connector::new(resolver, policy, TlsClient::new(&[]).unwrap());
    Tunnel::open(connector, connections, Duration::from_secs(1)).unwrap()
}

/// The tunnel's response to these bytes, up to `length`, or less at the end.
async fn answers(client: &mut TcpStream, sent: &[u8], length: usize) -> Vec<u8> {
    client.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    _ = (&mut *client).take(length as u64).read_to_end(&mut answer).await;
    answer
}

async fn let_through(tunnel: &Tunnel, pass: &Pass) -> TcpStream {
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    assert_eq!(answers(&mut client, &[5, 2, 0, 2], 2).await, [5, 2]);
    let mut login = vec![1, pass.token.len() as u8];
    login.extend_from_slice(pass.token.as_bytes());
    login.extend_from_slice(&[1, b'-']);
    assert_eq!(answers(&mut client, &login, 2).await, [1, 0]);
    client
}

fn to(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { unreachable!() };
    let mut request = vec![5, 1, 0, 1];
    request.extend_from_slice(&address.ip().octets());
    request.extend_from_slice(&address.port().to_be_bytes());
    request
}

#[tokio::test]
async fn credentials_are_required() {
    let tunnel = tunnel(8);
    let pass = tunnel.pass(HOLDER);
    // No credentials; wrong ones; those of a returned pass; another protocol.
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    assert_eq!(answers(&mut client, &[5, 1, 0], 10).await, [5, 0xff]);
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    assert_eq!(answers(&mut client, &[5, 1, 2, 1, 1, b'x', 1, b'-'], 10).await, [5, 2, 1, 1]);
    let token = pass.token.clone();
    drop(pass);
    let mut login = vec![5, 1, 2, 1, token.len() as u8];
    login.extend_from_slice(token.as_bytes());
    login.extend_from_slice(&[1, b'-']);
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    assert_eq!(answers(&mut client, &login, 10).await, [5, 2, 1, 1]);
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    assert!(answers(&mut client, b"GET / HTTP/1.1\r\n\r\n", 10).await.is_empty());
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let tunnel = tunnel(8);
    let mut client = TcpStream::connect(tunnel.address).await.unwrap();
    let end = tokio::time::timeout(ASK_TIMEOUT * 3, client.read_u8()).await;
    assert!(end.is_ok_and(|read| read.is_err()), "the connection is closed");
}

#[tokio::test]
async fn forbidden_addresses_are_not_dialled_and_failures_are_typed() {
    let trap = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let tunnel = tunnel(8);
    let pass = tunnel.pass(HOLDER);
    let since = Instant::now();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mut client = let_through(&tunnel, &pass).await;
    assert_eq!(answers(&mut client, &to(closed), 10).await[1], 5);
    let failure = pass.dials().failure_since(since);
    assert_eq!(failure, Some((closed.to_string(), ConnectError::Refused)));
    let mut client = let_through(&tunnel, &pass).await;
    assert_eq!(answers(&mut client, &to(trap.local_addr().unwrap()), 10).await[1], 2);
    assert!(matches!(pass.dials().failure_since(since), Some((_, ConnectError::Forbidden(_)))));
    assert!(pass.dials().failure_since(Instant::now()).is_none(), "it was before");
    tokio::time::timeout(Duration::from_secs(1), pass.dials().forbidden_since(since)).await.unwrap();
    let accepted = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
}

#[tokio::test]
async fn bytes_pass_both_ways_until_the_pass_is_given_back() {
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tunnel = tunnel(1);
    let pass = tunnel.pass(HOLDER);
    let mut client = let_through(&tunnel, &pass).await;
    let request = to(broker.local_addr().unwrap());
    let asked = answers(&mut client, &request, 10);
    let (answer, accepted) = tokio::join!(asked, broker.accept());
    assert_eq!(answer[..2], [5, 0]);
    let (mut far, _) = accepted.unwrap();
    assert_eq!(tunnel.open_connections(), 1);
    // More than fits into the buffers of two sockets, to a peer that reads late.
    let much: Vec<u8> = (0..20_000_000_u32).map(|byte| byte as u8).collect();
    let expected = much.clone();
    let reading = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut read = vec![0; expected.len()];
        far.read_exact(&mut read).await.unwrap();
        assert!(read == expected);
        far.write_all(b"thanks").await.unwrap();
        far
    });
    client.write_all(&much).await.unwrap();
    let mut thanks = [0; 6];
    client.read_exact(&mut thanks).await.unwrap();
    assert_eq!(&thanks, b"thanks");
    let mut far = reading.await.unwrap();
    // The only slot is taken: the second client waits for it.
    let mut second = let_through(&tunnel, &pass).await;
    let request = to(broker.local_addr().unwrap());
    let mut waiting = std::pin::pin!(answers(&mut second, &request, 10));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "two connections in one place");
    drop(client);
    assert!(far.read_u8().await.is_err(), "closed");
    let (answer, accepted) = tokio::join!(waiting, broker.accept());
    assert_eq!(answer[..2], [5, 0]);
    let (mut far, _) = accepted.unwrap();
    drop(pass);
    assert!(far.read_u8().await.is_err(), "closed");
    assert_eq!(tunnel.open_connections(), 0);
}

#[tokio::test]
async fn connections_of_one_pim_leave_places_to_another() {
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tunnel = tunnel(4);
    let (hostile, modest) = (tunnel.pass(HOLDER), tunnel.pass(Holder { pim: 2, part: 1 }));
    let request = to(broker.local_addr().unwrap());
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = let_through(&tunnel, &hostile).await;
        assert_eq!(answers(&mut client, &request, 10).await[..2], [5, 0]);
        open.push(client);
    }
    let since = Instant::now();
    let mut fourth = let_through(&tunnel, &hostile).await;
    fourth.write_all(&request).await.unwrap();
    while !hostile.dials().waited_since(since) {
        tokio::task::yield_now().await;
    }
    let mut client = let_through(&tunnel, &modest).await;
    assert_eq!(answers(&mut client, &request, 10).await[..2], [5, 0]);
    assert!(!modest.dials().waited_since(since));
    assert_eq!(tunnel.open_connections(), 4);
}
