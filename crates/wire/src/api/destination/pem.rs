//! Certificates and keys of a Kafka client: that they can be read, and that they belong together.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;

/// The public key of a certificate: the content of its `SubjectPublicKeyInfo`.
pub(super) struct PublicKey(Vec<u8>);

/// Why PEM cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PemError {
    #[error("no certificate is in it; PEM with -----BEGIN CERTIFICATE----- is expected")]
    NoCertificate,
    #[error("a private key is in it; it would be shown to everybody who may read the subscription")]
    KeyAmongCertificates,
    #[error("certificate {number} in it cannot be read: {reason}")]
    Certificate { number: usize, reason: String },
    #[error("no private key is in it; PEM with -----BEGIN PRIVATE KEY----- is expected")]
    NoKey,
    #[error("the key is protected by a pass phrase; take the protection off first (openssl pkey -in key.pem)")]
    EncryptedKey,
    #[error("more than one private key is in it")]
    SeveralKeys,
    #[error("the key cannot be read: RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 are understood")]
    Key,
}

/// The public keys of all certificates in `pem`, at least one, in order.
pub(super) fn certificates(pem: &str) -> Result<Vec<PublicKey>, PemError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(PemError::KeyAmongCertificates);
    }
    let mut keys = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let number = index + 1;
        let certificate =
            certificate.map_err(|_| PemError::Certificate { number, reason: "its PEM is broken".to_owned() })?;
        // Read as a trust anchor, so that a client certificate of X.509 version 1 is readable, too.
        let mut store = RootCertStore::empty();
        store.add(certificate).map_err(|error| PemError::Certificate { number, reason: error.to_string() })?;
        keys.extend(store.roots.iter().map(|anchor| PublicKey(anchor.subject_public_key_info.to_vec())));
    }
    if keys.is_empty() { Err(PemError::NoCertificate) } else { Ok(keys) }
}

/// The one private key in `pem`.
pub(super) fn private_key(pem: &str) -> Result<Arc<dyn SigningKey>, PemError> {
    if pem.contains("ENCRYPTED") {
        return Err(PemError::EncryptedKey);
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
    let key = keys.next().ok_or(PemError::NoKey)?.map_err(|_| PemError::Key)?;
    if keys.next().is_some() {
        return Err(PemError::SeveralKeys);
    }
    any_supported_type(&key).map_err(|_| PemError::Key)
}

/// Whether the private key is the one of the certificate.
pub(super) fn belongs(key: &Arc<dyn SigningKey>, certificate: &PublicKey) -> bool {
    // A key that does not tell its public half cannot be judged here; the handshake will.
    key.public_key().is_none_or(|public| der_content(&public) == Some(certificate.0.as_slice()))
}

/// The content of a DER sequence: a trust anchor keeps its key without the outer tag and length.
fn der_content(der: &[u8]) -> Option<&[u8]> {
    let (length, rest) = der.strip_prefix(&[0x30])?.split_first()?;
    match length {
        0..0x80 => Some(rest),
        _ => rest.get(usize::from(length & 0x7f)..),
    }
}
