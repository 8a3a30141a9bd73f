//! TLS of outgoing connections: trusted roots, negotiation, and the meaning of failures.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Maximum number of sessions cached for a short handshake, over all hosts.
const SESSIONS_KEPT: usize = 1_024;

/// The operator's roots or the library are unusable.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// Not PEM.
    #[error("the root certificates are not readable PEM: {0:?}")]
    Unreadable(pem::Error),
    /// PEM, but without a certificate.
    #[error("the root certificates contain no certificate; each one begins with `-----BEGIN CERTIFICATE-----`")]
    Empty,
    /// A certificate that cannot be a root.
    #[error("root certificate {number} is unusable: {error}")]
    BadRoot {
        /// Counted from 1.
        number: usize,
        /// The error.
        error: rustls::Error,
    },
    /// The cryptographic library offers no usable protocol version.
    #[error("cannot set up TLS: {0}")]
    Provider(rustls::Error),
}

/// Reads root certificates in PEM.
pub fn roots_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let roots =
        CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(TlsSetupError::Unreadable)?;
    if roots.is_empty() { Err(TlsSetupError::Empty) } else { Ok(roots) }
}

/// The protocols offered by ALPN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alpn {
    /// HTTP/2, else HTTP/1.1.
    Http2OrHttp1,
    /// HTTP/1.1 only.
    Http1,
    /// Nothing: a protocol that is not HTTP.
    None,
}

/// Prepared configurations, one per [`Alpn`].
#[derive(Clone)]
pub struct TlsClient {
    http2: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    other: Arc<ClientConfig>,
}

impl TlsClient {
    /// A client that trusts the public roots and `extra` ones.
    pub fn new(extra: &[CertificateDer<'static>]) -> Result<TlsClient, TlsSetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for (index, root) in extra.iter().enumerate() {
            roots.add(root.clone()).map_err(|error| TlsSetupError::BadRoot { number: index + 1, error })?;
        }
        // The provider is explicit: a process default could be another library's choice.
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(TlsClient { http2: offering(&[b"h2", b"http/1.1"]), http1: offering(&[b"http/1.1"]), other: offering(&[]) })
    }

    pub(crate) fn config(&self, alpn: Alpn) -> Arc<ClientConfig> {
        Arc::clone(match alpn {
            Alpn::Http2OrHttp1 => &self.http2,
            Alpn::Http1 => &self.http1,
            Alpn::None => &self.other,
        })
    }
}

/// Meaning of a TLS error for the owner of the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TlsFault {
    /// A fault of the certificate.
    Certificate(&'static str),
    /// A fault of the handshake or the protocol.
    Handshake(&'static str),
}

impl TlsFault {
    pub(crate) fn of(error: &rustls::Error) -> TlsFault {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => TlsFault::Certificate(certificate_fault(error)),
            Error::NoCertificatesPresented => TlsFault::Certificate("the server presented no certificate"),
            Error::UnsupportedNameType => {
                TlsFault::Certificate("certificates cannot be verified for this kind of host")
            }
            Error::InvalidCertRevocationList(_) => TlsFault::Certificate("its revocation list is not valid"),
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
                TlsFault::Handshake("the server supports no TLS 1.2 or 1.3 parameters that this platform accepts")
            }
            Error::AlertReceived(_) => TlsFault::Handshake("the server rejected the TLS handshake"),
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerSentOversizedRecord
            | Error::PeerMisbehaved(_)
            | Error::DecryptError => TlsFault::Handshake("the server sent invalid TLS data"),
            Error::InvalidEncryptedClientHello(_)
            | Error::EncryptError
            | Error::General(_)
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete
            | Error::BadMaxFragmentSize
            | Error::InconsistentKeys(_)
            | Error::Other(_) => TlsFault::Handshake("the TLS handshake failed"),
            // The enum may grow.
            _ => TlsFault::Handshake("the TLS negotiation failed"),
        }
    }
}

/// The fault of a certificate, and its remedy.
fn certificate_fault(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; renew it and reload the server"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; check its dates, and the clocks of the server and of the platform"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name; use a certificate that names this host as a subject alternative name"
        }
        CertificateError::UnknownIssuer => {
            "it was not issued by a trusted authority; use one from a public authority, have the server send the \
             intermediate certificates, or ask the operator to add its root to `extra_roots`"
        }
        CertificateError::Revoked => "it has been revoked; get a new one",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for servers; use one with the extended key usage server authentication, or none"
        }
        CertificateError::BadEncoding => "it is not a valid X.509 certificate; reissue it",
        CertificateError::BadSignature => "its signature is invalid; reissue it, and check the order of the chain",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => WEAK,
        CertificateError::UnhandledCriticalExtension => "it has an unsupported critical extension; reissue it without",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => "its revocation status is unknown; get a new one",
        CertificateError::Other(other) => other.0.downcast_ref().map_or(UNVERIFIABLE, chain_fault),
        // The enum may grow.
        CertificateError::ApplicationVerificationFailure => UNVERIFIABLE,
        _ => UNVERIFIABLE,
    }
}

const WEAK: &str = "its key or signature is of a kind that this platform does not accept; use RSA of 2048 bits or \
                    more, \
                    ECDSA or Ed25519, with SHA-256 or better";
const UNVERIFIABLE: &str =
    "it cannot be verified; check the certificate and its chain, for example with `openssl verify`";

/// The same, for errors without a variant in the verifier.
fn chain_fault(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CaUsedAsEndEntity => {
            "it is a CA certificate used as a server certificate; issue a server certificate from it (`CA:FALSE`), and \
             keep the CA certificate as the root"
        }
        Error::EndEntityUsedAsCa => "its issuer is not a CA certificate; issue it from one with `CA:TRUE`",
        Error::NameConstraintViolation | Error::PathLenConstraintViolated => {
            "its issuer is not allowed to issue it (name or path length constraints); use another issuer"
        }
        Error::UnsupportedCertVersion => "it is not an X.509 version 3 certificate; reissue it",
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "its chain is too long or ambiguous; send only the certificates up to the root"
        }
        _ => UNVERIFIABLE,
    }
}
