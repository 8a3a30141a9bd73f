//! Where the database is: hosts, user, TLS. Each host is tried by itself with a time limit, so that one that hangs
//! hides no other.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::Failure;
use crate::link::{Link, Lost};

/// Time within which a host must accept a connection and a login.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The database's location, from its URL.
#[derive(Clone, Debug)]
pub struct Target {
    /// One per host.
    hosts: Vec<Config>,
    tls: Option<ClientConfig>,
    name: String,
}

/// Why a URL is not valid; never with its password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

impl Target {
    /// Parses a URL `postgres://user@host:5432,another/database`. Of libpq's parameters, `sslmode` is `verify-full`
    /// (the default) or `disable`, because the others encrypt without knowing for whom. `roots` are the certificates
    /// that sign those of the servers; `public`: whether the public ones are trusted as well.
    pub fn parse(
        url: &str,
        password: Option<&str>,
        roots: &[CertificateDer<'static>],
        public: bool,
    ) -> Result<Target, TargetError> {
        let wrong = |problem: String| TargetError(problem);
        let (url, mode) = take_ssl_mode(url);
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // Neither the URL nor a value of it is shown.
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            wrong(format!("it is not a URL such as \"postgres://user@db.example.com/postrider\": {cause}"))
        })?;
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_user().is_none() {
            return Err(wrong("it names no user".to_owned()));
        }
        if config.get_dbname().is_none() {
            return Err(wrong("it names no database".to_owned()));
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host".to_owned()));
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let encrypt = match mode.as_deref() {
            None | Some("verify-full") => config.get_hosts().iter().any(|host| !is_local(host)) || mode.is_some(),
            Some("disable") => false,
            Some(other) => {
                return Err(wrong(format!(
                    "sslmode={other} does not check whom it connects to: use verify-full, or disable on a network \
                     that nobody else can reach"
                )));
            }
        };
        config.ssl_mode(if encrypt { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT_WITHIN);
        config.keepalives_idle(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("postrider");
        }
        let tls =
            encrypt.then(|| client_config(roots, public)).transpose().map_err(|error| wrong(error.to_string()))?;
        Ok(Target { hosts: one_each(&config), tls, name: name(&config) })
    }

    /// Hosts and database, without user and password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection to the first host that accepts writes.
    pub(crate) async fn connect(&self, patience: Duration, lost: &Lost) -> Result<Link, Failure> {
        let mut failures = Vec::new();
        for config in &self.hosts {
            let mut config = config.clone();
            config.tcp_user_timeout(patience);
            let opening = open(&config, self.tls.as_ref(), patience, lost);
            let failure = match timeout(CONNECT_WITHIN, opening).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Unavailable(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
            };
            failures.push(format!("{}: {failure}", name(&config)));
        }
        Err(Failure::Unavailable(format!("cannot connect to the database; {}", failures.join("; "))))
    }
}

/// The limit of statements is ours as well as the server's. A pooler may know no such options; then the server's is
/// whatever its user has.
async fn open(config: &Config, tls: Option<&ClientConfig>, patience: Duration, lost: &Lost) -> Result<Link, Failure> {
    let mut limited = config.clone();
    let given = config.get_options().unwrap_or_default();
    limited.options(format!("{given} -c jit=off -c statement_timeout={}", patience.as_millis()).trim_start());
    match open_one(&limited, tls, patience, lost).await {
        Err(Failure::Refused { code, message }) if code == "08P01" => {
            tracing::debug!(%message, "the pooler takes no options");
            open_one(config, tls, patience, lost).await
        }
        other => other,
    }
}

async fn open_one(
    config: &Config,
    tls: Option<&ClientConfig>,
    patience: Duration,
    lost: &Lost,
) -> Result<Link, Failure> {
    let lost = Arc::clone(lost);
    Ok(match tls {
        Some(tls) => {
            let (client, connection) = config.connect(MakeRustlsConnect::new(tls.clone())).await?;
            Link::start(client, connection, patience, lost)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            Link::start(client, connection, patience, lost)
        }
    })
}

fn client_config(extra: &[CertificateDer<'static>], public: bool) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: if public { webpki_roots::TLS_SERVER_ROOTS.to_vec() } else { Vec::new() } };
    for root in extra {
        roots.add(root.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// Loopback needs no encryption.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// The URL without `sslmode`, and its value.
fn take_ssl_mode(url: &str) -> (String, Option<String>) {
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (mut mode, mut rest) = (None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    (url, mode)
}

/// The same configuration for each host alone.
fn one_each(config: &Config) -> Vec<Config> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.last()).copied().unwrap_or(5432);
    let one = |(index, host): (usize, &Host)| {
        let mut one = Config::new();
        if let Some(user) = config.get_user() {
            one.user(user);
        }
        if let Some(password) = config.get_password() {
            one.password(password);
        }
        if let Some(database) = config.get_dbname() {
            one.dbname(database);
        }
        if let Some(options) = config.get_options() {
            one.options(options);
        }
        if let Some(name) = config.get_application_name() {
            one.application_name(name);
        }
        match host {
            Host::Tcp(name) => one.host(name),
            #[cfg(unix)]
            Host::Unix(path) => one.host_path(path),
        };
        one.port(port(index));
        one.ssl_mode(config.get_ssl_mode());
        one.connect_timeout(CONNECT_WITHIN);
        one.keepalives_idle(config.get_keepalives_idle());
        one.target_session_attrs(config.get_target_session_attrs());
        one.channel_binding(config.get_channel_binding());
        one
    };
    config.get_hosts().iter().enumerate().map(one).collect()
}

fn name(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .zip(config.get_ports().iter().chain(std::iter::repeat(config.get_ports().last().unwrap_or(&5432))))
        .map(|(host, port)| match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, TargetError> {
        Target::parse(url, Some("secret"), &[], true)
    }

    #[test]
    fn hosts_are_tried_one_by_one_and_encrypted_unless_they_are_local() {
        let two = parse("postgres://u@a.example.com:6432,b.example.com/db?sslmode=verify-full").unwrap();
        assert_eq!((two.hosts.len(), two.tls.is_some()), (2, true));
        assert_eq!(two.name(), "a.example.com:6432,b.example.com:5432/db");
        assert!(two.hosts.iter().all(|one| one.get_target_session_attrs() == TargetSessionAttrs::ReadWrite));
        assert!(parse("postgres://u@a.example.com/db").unwrap().tls.is_some());
        assert!(parse("postgres://u@a.example.com/db?sslmode=disable").unwrap().tls.is_none());
        assert!(parse("postgres://u@127.0.0.1:5433/db").unwrap().tls.is_none());
        assert!(parse("postgres://u@127.0.0.1/db?sslmode=verify-full").unwrap().tls.is_some());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let check = |url: &str, expect: &str| {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(expect) && !error.contains("hunter2"), "{error}");
        };
        check("postgres://u:hunter2@h/db?sslmode=require", "sslmode=require does not check");
        check("postgres://u:hunter2@h/db?sslmode=prefer", "sslmode=prefer does not check");
        check("postgres://u:hunter2@h", "it names no database");
        check("postgres://h/db", "it names no user");
        check("mysql://u:hunter2@h/db", "it is not a URL such as");
        check("postgres://u:hunter2@h/db?colour=red", "colour");
    }
}
