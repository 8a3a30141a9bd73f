//! Certificates of a broker and its clients, generated for each broker.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Name in the broker's certificate. It differs from the host that clients dial, so that `server_name` matters.
pub const SERVER_NAME: &str = "broker.postrider.test";

/// TLS settings of a client.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Name in the broker's certificate.
    pub server_name: String,
    /// Issuer of all certificates, PEM.
    pub ca_pem: String,
    /// Client certificate, PEM.
    pub client_cert_pem: String,
    /// Its key, PEM.
    pub client_key_pem: String,
}

/// Files for the broker, and settings for the client.
pub(super) struct Certificates {
    pub(super) key_store: PathBuf,
    pub(super) trust_store: PathBuf,
    pub(super) client: ClientTls,
}

impl Certificates {
    pub(super) fn make(folder: &Path) -> anyhow::Result<Certificates> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca_pem = params.self_signed(&key)?.pem();
        let authority = Issuer::new(params, key);

        let (certificate, key) = issue(&authority, SERVER_NAME)?;
        let key_store = folder.join("broker.pem");
        fs::write(&key_store, format!("{key}{certificate}"))?;
        let trust_store = folder.join("authority.pem");
        fs::write(&trust_store, &ca_pem)?;
        let (client_cert_pem, client_key_pem) = issue(&authority, "client.postrider.test")?;
        let client = ClientTls { server_name: SERVER_NAME.to_owned(), ca_pem, client_cert_pem, client_key_pem };
        Ok(Certificates { key_store, trust_store, client })
    }
}

impl ClientTls {
    /// From a CA unknown to all brokers.
    pub fn of_a_stranger() -> anyhow::Result<ClientTls> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Another authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca_pem = params.self_signed(&key)?.pem();
        let (client_cert_pem, client_key_pem) = issue(&Issuer::new(params, key), "client.postrider.test")?;
        Ok(ClientTls { server_name: SERVER_NAME.to_owned(), ca_pem, client_cert_pem, client_key_pem })
    }
}

fn issue(authority: &Issuer<'_, KeyPair>, name: &str) -> anyhow::Result<(String, String)> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}
