//! Certificates and keys of a Kafka client: readable, and matching each other.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;

/// Public key of a certificate: the content of its `SubjectPublicKeyInfo`.
pub(super) struct PublicKey(Vec<u8>);

/// Why PEM is unusable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PemError {
    #[error("it contains no certificate; expected PEM with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("it contains a private key, which would be visible to everyone who may read the subscription")]
    KeyAmongCertificates,
    #[error("certificate {number} is unreadable: {reason}")]
    Certificate { number: usize, reason: String },
    #[error("it contains no private key; expected PEM with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error("the key is protected by a passphrase; remove it first (openssl pkey -in key.pem)")]
    EncryptedKey,
    #[error("it contains more than one private key")]
    SeveralKeys,
    #[error("the key is unreadable; supported are RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, and Ed25519")]
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
            certificate.map_err(|_| PemError::Certificate { number, reason: "its PEM is malformed".to_owned() })?;
        // Read as a trust anchor, so that client certificates of X.509 version 1 are readable as well.
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

/// Whether the private key matches the certificate.
pub(super) fn belongs(key: &Arc<dyn SigningKey>, certificate: &PublicKey) -> bool {
    // Keys that do not expose their public half are left to the handshake.
    key.public_key().is_none_or(|public| der_content(&public) == Some(certificate.0.as_slice()))
}

/// Content of a DER sequence: a trust anchor stores its key without the outer tag and length.
fn der_content(der: &[u8]) -> Option<&[u8]> {
    let (length, rest) = der.strip_prefix(&[0x30])?.split_first()?;
    match length {
        0..0x80 => Some(rest),
        _ => rest.get(usize::from(length & 0x7f)..),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{KeyPair, PublicKeyData};

    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = content.len();
        let mut out = match u8::try_from(length) {
            Ok(short @ 0..0x80) => vec![tag, short],
            Ok(long) => vec![tag, 0x81, long],
            Err(_) => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        out.extend(content);
        out
    }

    /// A certificate of X.509 version 1, as still created by `openssl x509 -req`. Its signature is never verified here.
    fn version_1(key: &KeyPair) -> String {
        let ecdsa_with_sha256 = der(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let common_name = der(0x30, &[&[0x06, 3, 0x55, 4, 3], &der(0x0c, &[b"client.example"])]);
        let name = der(0x30, &[&der(0x31, &[&common_name])]);
        let validity = der(0x30, &[&der(0x17, &[b"260101000000Z"]), &der(0x17, &[b"360101000000Z"])]);
        let public_key = key.subject_public_key_info();
        let tbs = der(0x30, &[&[2, 1, 1], &ecdsa_with_sha256, &name, &validity, &name, &public_key]);
        let certificate = der(0x30, &[&tbs, &ecdsa_with_sha256, &der(0x03, &[&[0; 65]])]);
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
    }

    #[test]
    fn client_certificates_of_version_1_belong_to_their_key_alone() {
        let [key, other] = [(), ()].map(|()| KeyPair::generate().unwrap());
        let public = certificates(&version_1(&key)).unwrap();
        assert!(belongs(&private_key(&key.serialize_pem()).unwrap(), &public[0]));
        assert!(!belongs(&private_key(&other.serialize_pem()).unwrap(), &public[0]));
    }

    #[test]
    fn text_around_a_key_is_ignored() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let around =
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}text\n");
        assert!(private_key(&around).is_ok());
        assert!(private_key(&key.replace('\n', "\r\n")).is_ok());
        assert_eq!(private_key("").err(), Some(PemError::NoKey));
    }
}
