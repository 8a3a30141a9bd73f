//! TLS: trusted and untrusted certificates, and failed handshakes.

use std::sync::Arc;

use domain::outcome::{ErrorReason, Outcome};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use sinks::https::HttpsSettings;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::endpoint::*;

/// An authority for tests.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Each has a unique name, which identifies the authority.
        let name = domain::SubscriptionId::generate().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), root }
    }

    /// A server with a certificate for `name`, which speaks `alpn`.
    pub(crate) fn server(&self, name: &str, alpn: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        acceptor(certificate, &key, alpn)
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn https(acceptor: TlsAcceptor) -> Endpoint {
    Endpoint::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while answer(&mut stream, OK).await {}
        }
    })
    .await
}

fn url(endpoint: &Endpoint, host: &str) -> String {
    format!("https://{host}:{}/", endpoint.address.port())
}

#[tokio::test]
async fn a_certificate_of_an_operators_root_is_trusted() {
    let authority = Authority::new();
    let sink = sink_on(connector(&["127.0.0.0/8"], std::slice::from_ref(&authority.root)), HttpsSettings::default());
    let named = https(authority.server("localhost", &["http/1.1"], |_| ())).await;
    let numbered = https(authority.server("127.0.0.1", &[], |_| ())).await;
    for url in [url(&named, "localhost"), url(&numbered, "127.0.0.1"), url(&numbered, "127.1")] {
        let subscription = subscription(&url);
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered, "{url}");
        assert_eq!(deliver(&sink, &subscription).await, Outcome::Delivered, "{url}");
    }
    assert_eq!((named.connections(), numbered.connections()), (1, 2));
}

async fn check_certificate(trust: &Authority, acceptor: TlsAcceptor, what: &str) {
    let sink = sink_on(connector(&["127.0.0.0/8"], std::slice::from_ref(&trust.root)), HttpsSettings::default());
    let endpoint = https(acceptor).await;
    let port = endpoint.address.port();
    let message = format!("could not connect to localhost:{port}: its certificate is not valid: {what}");
    check_failed(&sink, &url(&endpoint, "localhost"), ErrorReason::InvalidCertificate, &message).await;
}

const NAME: &str = "it is for another host name; use a certificate that names this host as a subject alternative name";

#[tokio::test]
async fn a_ca_certificate_used_as_a_servers_is_named_as_such() {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().der().clone();
    let trusted = Authority { issuer: Issuer::new(params, KeyPair::generate().unwrap()), root: root.clone() };
    let what = "it is a CA certificate used as a server certificate; issue a server certificate from it (`CA:FALSE`), \
                and keep the CA certificate as the root";
    check_certificate(&trusted, acceptor(root, &key, &[]), what).await;
}

#[tokio::test]
async fn certificates_that_are_not_valid() {
    let authority = Authority::new();
    check_certificate(&authority, authority.server("other.example", &[], |_| ()), NAME).await;
    let expired = authority.server("localhost", &[], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    check_certificate(&authority, expired, "it has expired; renew it and reload the server").await;
    let early = authority.server("localhost", &[], |params| params.not_before = date_time_ymd(2999, 1, 1));
    let what = "it is not valid yet; check its dates, and the clocks of the server and of the platform";
    check_certificate(&authority, early, what).await;

    let untrusted = "it was not issued by a trusted authority; use one from a public authority, have the server send \
                     the intermediate certificates, or ask the operator to add its root to `extra_roots`";
    check_certificate(&authority, Authority::new().server("localhost", &[], |_| ()), untrusted).await;
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    check_certificate(&authority, acceptor(own.der().clone(), &key, &[]), untrusted).await;
}

async fn check_handshake(first: &'static [u8], what: &str) {
    let endpoint = Endpoint::start(move |_, mut stream| async move {
        let mut hello = [0; 4096];
        tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await.unwrap();
        stream.write_all(first).await.unwrap();
    })
    .await;
    let message = format!("could not connect to {}: {what}", endpoint.address);
    let sink = sink(HttpsSettings::default());
    check_failed(&sink, &url(&endpoint, "127.0.0.1"), ErrorReason::InvalidTlsHandshake, &message).await;
}

#[tokio::test]
async fn handshakes_that_fail() {
    check_handshake(b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server sent invalid TLS data").await;
    check_handshake(b"", "the server closed the connection during the TLS handshake").await;
    // An alert: protocol_version, as sent by a server with TLS 1.1 only.
    check_handshake(&[21, 3, 2, 0, 2, 2, 70], "the server rejected the TLS handshake").await;
    // A ServerHello of TLS 1.1.
    const HELLO: &[u8] = &[
        22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 47, 0,
    ];
    let what = "the server supports no TLS 1.2 or 1.3 parameters that this platform accepts";
    check_handshake(HELLO, what).await;
}
