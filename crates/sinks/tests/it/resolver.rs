//! Name resolution: changes of the system's configuration at run time, failing name servers, a missing address family.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use domain::outcome::{Lack, Outcome};
use sinks::https::HttpsSettings;
use sinks::resolve::{LookupError, PLATFORM, Resolver};

use crate::endpoint::*;
use crate::name_server::NameServer;

/// Longer than the interval between checks of the files.
const LOOKED_AT: Duration = Duration::from_millis(1_100);

struct Files {
    folder: tempfile::TempDir,
    port: u16,
}

impl Files {
    fn new(port: u16) -> Files {
        Files { folder: tempfile::tempdir().unwrap(), port }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn resolver(&self) -> Resolver {
        let path = |name: &str| self.folder.path().join(name);
        Resolver::with_files(&path("resolv.conf"), &path("hosts"), self.port)
    }
}

async fn first(resolver: &Resolver, name: &str) -> Result<IpAddr, LookupError> {
    resolver.addresses(name, PLATFORM).await.map(|addresses| addresses[0])
}

#[tokio::test]
async fn changed_files_are_read_again() {
    let names = |last| HashMap::from([("shop.example".to_owned(), vec![[127, 0, 0, last]])]);
    let one = NameServer::start_at("127.0.0.1:0".parse().unwrap(), names(1)).await;
    let port = one.address.port();
    let _two = NameServer::start_at(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), port), names(2)).await;
    let files = Files::new(port);
    // There is no file at all: this is a lack, not a failed start.
    let resolver = files.resolver();
    assert_eq!(first(&resolver, "shop.example").await, Err(LookupError::Lacks(Lack::NameServers)));
    for (text, expect) in [
        ("nameserver 127.0.0.1\n", Ok(IpAddr::from([127, 0, 0, 1]))),
        ("nameserver 127.0.0.2 # moved\n", Ok(IpAddr::from([127, 0, 0, 2]))),
        ("", Err(LookupError::Lacks(Lack::NameServers))),
    ] {
        files.write("resolv.conf", text);
        tokio::time::sleep(LOOKED_AT).await;
        assert_eq!(first(&resolver, "shop.example").await, expect, "{text:?}");
    }
    files.write("hosts", "127.0.0.9 shop.example # by hand\n");
    tokio::time::sleep(LOOKED_AT).await;
    assert_eq!(first(&resolver, "shop.example").await, Ok(IpAddr::from([127, 0, 0, 9])), "without a name server");
}

#[tokio::test]
async fn a_family_that_is_never_answered_does_not_hold_up_the_other() {
    let names = NameServer::start(&[("half.example", &[[127, 0, 0, 1]])]).await;
    let endpoint = Endpoint::answering(OK).await;
    let sink = sink_on(connector_with(names.resolver(), &["127.0.0.1/32"], &[]), HttpsSettings::default());
    let url = format!("http://half.example:{}/", endpoint.address.port());
    let begun = Instant::now();
    assert_eq!(deliver(&sink, &subscription(&url)).await, Outcome::Delivered);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_partial_lookup_is_checked() {
    let names = NameServer::start(&[("half.example", &[[127, 0, 0, 1], [10, 0, 0, 1]])]).await;
    let sink = sink_on(connector_with(names.resolver(), &["127.0.0.1/32"], &[]), HttpsSettings::default());
    let said = deliver(&sink, &subscription("http://half.example:81/")).await;
    assert!(matches!(said, Outcome::Broken(_)), "{said:?}");
}

#[tokio::test]
async fn no_name_server_is_the_platforms_trouble_and_one_silent_domain_is_not() {
    // The port is no longer open.
    let gone = NameServer::start(&[]).await.address;
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_ne!(gone, closed);
    let sink = sink_on(connector_with(Resolver::with_servers(&[closed]), &[], &[]), HttpsSettings::default());
    let said = deliver(&sink, &subscription("https://shop.example/")).await;
    assert_eq!(said, Outcome::Ours(Lack::NameServers));
    // A server that receives queries and never responds.
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolver = Resolver::with_servers(&[deaf.local_addr().unwrap()]);
    assert_eq!(first(&resolver, "shop.example").await, Err(LookupError::Lacks(Lack::NameServers)));
    // A server that responds for other names.
    let names = NameServer::start(&[("hangs.example", &[])]).await;
    assert_eq!(first(&names.resolver(), "hangs.example").await, Err(LookupError::TimedOut));
}
