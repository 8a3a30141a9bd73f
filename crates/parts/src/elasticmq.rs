//! ElasticMQ: a server with the API of Amazon SQS and its limits.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::{Process, maven, place, port};

/// A start takes about 3 s; a busy machine may take much longer.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A running server without queues: clients create them.
#[derive(Debug)]
pub struct ElasticMq {
    /// URL of the API: `http://127.0.0.1:port`.
    pub url: String,
    process: Process,
}

impl ElasticMq {
    /// Downloads it if necessary, and starts it on a free port.
    pub fn start() -> anyhow::Result<ElasticMq> {
        let jars = maven::jars("elasticmq", "elasticmq/pom.xml")?;
        let folder = place::scratch("elasticmq")?;
        let port = port::free();
        let settings = folder.join("elasticmq.conf");
        std::fs::write(&settings, configuration(port))?;
        let mut java = Command::new("java");
        java.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg(format!("-Dconfig.file={}", settings.display()));
        java.arg("-cp").arg(jars.join("*")).arg("org.elasticmq.server.Main");
        let process = Process::start(&java, &folder.join("log"))?;
        port::accepts(port, STARTS_WITHIN)
            .with_context(|| format!("ElasticMQ did not start:\n{}", process.printed()))?;
        Ok(ElasticMq { url: format!("http://127.0.0.1:{port}"), process })
    }

    /// Its output so far.
    pub fn printed(&self) -> String {
        self.process.printed()
    }
}

fn configuration(port: u16) -> String {
    format!(
        r#"include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
"#
    )
}
