//! Sending emails through the operator's SMTP server.

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
    /// Name or address.
    pub host: String,
    /// Port; `None`: the default of [`SmtpSettings::security`].
    pub port: Option<u16>,
    /// Connection security.
    pub security: SmtpSecurity,
    /// User name and password, if required.
    pub credentials: Option<(String, Secret)>,
    /// Sender of all emails: an address, or a name and an address in `<>`.
    pub from: String,
    /// Maximum duration of sending one email.
    pub timeout: Duration,
    /// Additional root certificates, PEM.
    pub extra_roots: Vec<Vec<u8>>,
}

/// Security of the connection to an SMTP server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// Starts in plain text and requires an upgrade to TLS (port 587).
    StartTls,
    /// TLS from the first byte (port 465).
    Tls,
    /// None (port 25).
    None,
}

impl SmtpSecurity {
    /// Default port.
    pub fn port(self) -> u16 {
        match self {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        }
    }
}

/// Invalid settings.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The sender is not an address.
    #[error("the sender {from:?} is not an email address such as `Postrider <postrider@example.com>`: {error}")]
    From {
        /// The configured sender.
        from: String,
        /// The error.
        error: lettre::address::AddressError,
    },
    /// TLS setup failed.
    #[error("cannot set up TLS to the SMTP server: {0}")]
    Tls(lettre::transport::smtp::Error),
}

/// An email was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Permanently rejected.
    #[error("the SMTP server rejects it: {0}")]
    Refused(String),
    /// Temporary failure.
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
    /// A mailer for the operator's server. Does not connect yet.
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

    /// Records the server's responses there.
    #[must_use]
    pub fn hearing(self, heard: Heard) -> Mailer {
        Mailer { heard, ..self }
    }

    /// Sends an email.
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
                Err(Lost::Later(format!("the SMTP server did not accept it within {} s", self.timeout.as_secs())))
            }
        }
    }
}

/// RFC 4954: replies about the login concern the operator's settings, not this email.
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
