//! A running broker: its listeners, users, settings and restarts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::certificates::{Certificates, ClientTls};
use super::cluster::{BULK_USERS, OUTSIDER, PASSWORD, SCRAM_USER, USER, java};
use super::fetch;
use crate::place::scratch;
use crate::{Process, port};

/// A broker starts in 3 to 5 s on an idle machine.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// A listener of the broker. It advertises its own address unless noted otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// Without TLS or SASL, with all rights: for the tests' own tools.
    Internal,
    /// SASL without TLS.
    Sasl,
    /// SASL over TLS, without client certificates.
    Tls,
    /// SASL over TLS, with mandatory client certificates.
    MutualTls,
    /// SASL without TLS, on 127.0.0.1 and the other loopback addresses; advertises 127.0.0.2.
    AdvertisesElsewhere,
    /// SASL without TLS; advertises 10.0.0.1.
    AdvertisesPrivate,
    /// SASL without TLS; advertises 169.254.169.254, a cloud metadata address.
    AdvertisesMetadata,
}

impl Listener {
    const ALL: [Listener; 7] = [
        Listener::Internal,
        Listener::Sasl,
        Listener::Tls,
        Listener::MutualTls,
        Listener::AdvertisesElsewhere,
        Listener::AdvertisesPrivate,
        Listener::AdvertisesMetadata,
    ];

    fn name(self) -> &'static str {
        match self {
            Listener::Internal => "INTERNAL",
            Listener::Sasl => "SASL",
            Listener::Tls => "TLS",
            Listener::MutualTls => "MUTUALTLS",
            Listener::AdvertisesElsewhere => "ELSEWHERE",
            Listener::AdvertisesPrivate => "PRIVATE",
            Listener::AdvertisesMetadata => "METADATA",
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Listener::Internal => "PLAINTEXT",
            Listener::Tls | Listener::MutualTls => "SASL_SSL",
            _ => "SASL_PLAINTEXT",
        }
    }

    fn bound_to(self) -> &'static str {
        if self == Listener::AdvertisesElsewhere { "0.0.0.0" } else { "127.0.0.1" }
    }

    fn advertises(self) -> &'static str {
        match self {
            Listener::AdvertisesElsewhere => "127.0.0.2",
            Listener::AdvertisesPrivate => "10.0.0.1",
            Listener::AdvertisesMetadata => "169.254.169.254",
            _ => "127.0.0.1",
        }
    }
}

/// Apache Kafka in one process, broker and controller.
#[derive(Debug)]
pub struct Broker {
    jars: PathBuf,
    folder: PathBuf,
    ports: [u16; Listener::ALL.len()],
    tls: ClientTls,
    process: Mutex<Option<Process>>,
}

impl Broker {
    /// Downloads Kafka if necessary and starts a broker with its own data folder.
    pub fn start() -> anyhow::Result<Broker> {
        let jars = fetch::jars()?;
        let folder = scratch("kafka")?;
        let certificates = Certificates::make(&folder)?;
        let ports = [(); Listener::ALL.len()].map(|()| port::free());
        let properties = properties(&folder, &ports, port::free(), &certificates)?;
        fs::write(folder.join("server.properties"), properties)?;
        copy(&fetch::formatted(&jars)?, &folder.join("data"))?;
        let broker = Broker { jars, folder, ports, tls: certificates.client, process: Mutex::new(None) };
        broker.up()?;
        Ok(broker)
    }

    /// `host:port` of a listener.
    pub fn bootstrap(&self, listener: Listener) -> String {
        format!("127.0.0.1:{}", self.port(listener))
    }

    /// Port of a listener.
    pub fn port(&self, listener: Listener) -> u16 {
        Listener::ALL.iter().zip(self.ports).find_map(|(known, port)| (*known == listener).then_some(port)).unwrap_or(0)
    }

    /// Client settings for [`Listener::Tls`] and [`Listener::MutualTls`].
    pub fn tls(&self) -> &ClientTls {
        &self.tls
    }

    /// Starts it again with its data, after [`Broker::stop`] or [`Broker::kill`]; returns when it has joined its
    /// cluster.
    pub fn up(&self) -> anyhow::Result<()> {
        let mut process = self.process();
        if process.is_some() {
            bail!("the broker is already running");
        }
        let mut command = java(&self.jars, "kafka.Kafka");
        command.arg(self.folder.join("server.properties"));
        let log = self.folder.join("broker.log");
        let mut started = Process::start(&command, &log)?;
        let by = Instant::now() + STARTS_WITHIN;
        while let Err(waited) = port::accepts(self.port(Listener::Internal), Duration::from_millis(200)) {
            if started.ended().is_some() || Instant::now() > by {
                bail!("Kafka did not start ({waited}):\n{}", started.printed());
            }
        }
        *process = Some(started);
        Ok(())
    }

    /// Stops it gracefully.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.process().take().context("the broker is not running")?.terminate().map(|_| ())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) -> anyhow::Result<()> {
        self.process().take().context("the broker is not running")?.kill().map(|_| ())
    }

    /// Stops it gracefully and starts it again with its data.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.stop()?;
        self.up()
    }

    /// Kills it (SIGKILL) and starts it again with its data.
    pub fn kill_and_restart(&self) -> anyhow::Result<()> {
        self.kill()?;
        self.up()
    }

    /// Suspends it: it keeps its connections and answers nothing.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process().as_ref().context("the broker is not running")?.signal(Signal::STOP)
    }

    /// Ends [`Broker::pause`].
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process().as_ref().context("the broker is not running")?.signal(Signal::CONT)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process().take());
        // Failed tests leave their files for inspection; successful ones don't.
        if !std::thread::panicking() {
            _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn properties(folder: &Path, ports: &[u16], controller: u16, certificates: &Certificates) -> anyhow::Result<String> {
    let each = |text: fn(Listener, u16) -> String| {
        Listener::ALL.iter().zip(ports).map(|(listener, port)| text(*listener, *port)).collect::<Vec<_>>().join(",")
    };
    let mut users = format!("user_{USER}=\"{PASSWORD}\" user_{OUTSIDER}=\"{PASSWORD}\"");
    let mut super_users = format!("User:ANONYMOUS;User:{USER};User:{SCRAM_USER}");
    for number in 0..BULK_USERS {
        write!(users, " user_bulk-{number}=\"{PASSWORD}\"")?;
        write!(super_users, ";User:bulk-{number}")?;
    }
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=INTERNAL\n\
         listeners={},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={}\n\
         listener.security.protocol.map={},CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         auto.create.topics.enable=false\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users={super_users}\n\
         allow.everyone.if.no.acl.found=false\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.mutualtls.ssl.client.auth=required\n",
        each(|listener, port| format!("{}://{}:{port}", listener.name(), listener.bound_to())),
        each(|listener, port| format!("{}://{}:{port}", listener.name(), listener.advertises())),
        each(|listener, _| format!("{}:{}", listener.name(), listener.protocol())),
        folder.join("data").display(),
        certificates.key_store.display(),
        certificates.trust_store.display(),
    );
    // A killed broker is back within seconds instead of a quarter of a minute.
    text.push_str(
        "broker.session.timeout.ms=1500\n\
         broker.heartbeat.interval.ms=300\n\
         controller.quorum.election.timeout.ms=200\n\
         controller.quorum.fetch.timeout.ms=300\n\
         controller.quorum.election.backoff.max.ms=100\n\
         controlled.shutdown.enable=false\n",
    );
    for listener in Listener::ALL.iter().filter(|listener| **listener != Listener::Internal) {
        let name = listener.name().to_lowercase();
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
        writeln!(text, "listener.name.{name}.plain.sasl.jaas.config={plain} required {users};")?;
        for variant in ["256", "512"] {
            let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
            writeln!(text, "listener.name.{name}.scram-sha-{variant}.sasl.jaas.config={scram} required;")?;
        }
    }
    Ok(text)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
