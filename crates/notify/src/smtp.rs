//! Handing emails over to the operator's SMTP server.

use std::time::Duration;

use domain::Secret;
use domain::notification::Outgoing;
use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncTransport, Tokio1Executor};
use sinks::heard::Heard;

use crate::email;

/// The operator's SMTP server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpSettings {
    /// Its name or address.
    pub host: String,
    /// Its port; none: the usual one of [`SmtpSettings::security`].
    pub port: Option<u16>,
    /// How the connection is secured.
    pub security: SmtpSecurity,
    /// User name and password, where it wants them.
    pub credentials: Option<(String, Secret)>,
    /// The sender of all emails: an address, or a name and an address in `<>`.
    pub from: String,
    /// From the connection to the server's last word.
    pub timeout: Duration,
    /// Further root certificates, PEM.
    pub extra_roots: Vec<Vec<u8>>,
}

/// How a connection to an SMTP server is secured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// It begins in the clear and must then change to TLS (port 587).
    StartTls,
    /// TLS from its first byte on (port 465).
    Tls,
    /// Not at all (port 25).
    None,
}

impl SmtpSecurity {
    /// The usual port.
    pub fn port(self) -> u16 {
        match self {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The sender is no address.
    #[error("the sender {from:?} is no email address, such as `Postrider <postrider@example.com>`: {error}")]
    From {
        /// The sender as it was set.
        from: String,
        /// What is wrong with it.
        error: lettre::address::AddressError,
    },
    /// TLS cannot be set up.
    #[error("TLS to the SMTP server cannot be set up: {0}")]
    Tls(lettre::transport::smtp::Error),
}

/// An email was not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// The server will not take it later either.
    #[error("the SMTP server refuses it: {0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Later(String),
}

/// Sends emails. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
    heard: Heard,
}

impl Mailer {
    /// A mailer for the operator's server. Nothing is connected yet.
    pub fn new(settings: &SmtpSettings) -> Result<Mailer, SmtpSetupError> {
        let from =
            settings.from.parse().map_err(|error| SmtpSetupError::From { from: settings.from.clone(), error })?;
        let tls = || -> Result<TlsParameters, SmtpSetupError> {
            let mut tls =
                TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
            for pem in &settings.extra_roots {
                tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(SmtpSetupError::Tls)?);
            }
            tls.build().map_err(SmtpSetupError::Tls)
        };
        let tls = match settings.security {
            SmtpSecurity::StartTls => Tls::Required(tls()?),
            SmtpSecurity::Tls => Tls::Wrapper(tls()?),
            SmtpSecurity::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port.unwrap_or(settings.security.port()))
            .tls(tls)
            .timeout(Some(settings.timeout));
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Mailer { transport: transport.build(), from, timeout: settings.timeout, heard: Heard::default() })
    }

    /// Takes note of the server's answers there.
    #[must_use]
    pub fn hearing(self, heard: Heard) -> Mailer {
        Mailer { heard, ..self }
    }

    /// Hands an email over.
    pub(crate) async fn send(&self, outgoing: &Outgoing, public_url: &str) -> Result<(), Lost> {
        let message =
            email::message(outgoing, &self.from, public_url).map_err(|error| Lost::Refused(error.to_string()))?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => {
                self.heard.note();
                Ok(())
            }
            Ok(Err(error)) => {
                if error.status().is_some() {
                    self.heard.note();
                }
                Err(judge(&error))
            }
            Err(_elapsed) => {
                Err(Lost::Later(format!("the SMTP server did not take it within {} s", self.timeout.as_secs())))
            }
        }
    }
}

/// RFC 4954: replies about the login. They are about the operator's settings, not about this email.
const ABOUT_THE_LOGIN: [u16; 5] = [530, 534, 535, 538, 454];

fn judge(error: &lettre::transport::smtp::Error) -> Lost {
    let mut said = error.to_string();
    let mut inner = std::error::Error::source(error);
    while let Some(source) = inner {
        said = format!("{said}: {source}");
        inner = source.source();
    }
    let said: String = said.chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
    let code = error.status().map(u16::from);
    if error.is_permanent() && code.is_some_and(|code| !ABOUT_THE_LOGIN.contains(&code)) {
        Lost::Refused(said)
    } else {
        Lost::Later(said)
    }
}
