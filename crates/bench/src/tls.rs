//! TLS between receivers, the platform and the bare client: a certificate for 127.0.0.1.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// How receivers are spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speaks {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

impl Speaks {
    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Speaks::Plain => Vec::new(),
            Speaks::Http1 => vec![b"http/1.1".to_vec()],
            Speaks::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// Both sides of TLS with one self-signed certificate.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    certificate: NamedTempFile,
}

impl Tls {
    pub(crate) fn new(speaks: Speaks) -> anyhow::Result<Tls> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
        let mut server = server.context("the certificate of the receiver")?;
        server.alpn_protocols = speaks.alpn();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = speaks.alpn();
        let certificate = NamedTempFile::new()?;
        std::fs::write(certificate.path(), cert.pem())?;
        Ok(Tls { acceptor: Arc::new(server).into(), connector: Arc::new(client).into(), certificate })
    }

    /// The certificate, which its clients must trust.
    pub(crate) fn certificate(&self) -> &Path {
        self.certificate.path()
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    pub(crate) async fn connect(&self, stream: TcpStream) -> anyhow::Result<client::TlsStream<TcpStream>> {
        Ok(self.connector.connect(ServerName::try_from("127.0.0.1")?, stream).await?)
    }
}
