//! External software of Kafka tests: the broker's jars, a formatted data folder, and a stock client for Python.

use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::{CLUSTER_ID, PASSWORD, SCRAM_USER, java};
use crate::place::{fetched, source};
use crate::tool::run;
use crate::{maven, python};

/// Folder of the broker's jars.
pub(super) fn jars() -> anyhow::Result<PathBuf> {
    maven::jars("kafka", "kafka/pom.xml")
}

/// A data folder for a new broker, to be copied: formatting one takes a JVM.
pub(super) fn formatted(jars: &Path) -> anyhow::Result<PathBuf> {
    let recipe = format!("{}\n{CLUSTER_ID} {SCRAM_USER} {PASSWORD}\n", fs::read_to_string(source("kafka/pom.xml"))?);
    let folder = fetched("kafka-formatted", &recipe, |folder| {
        let properties = folder.join("server.properties");
        let data = folder.join("data");
        fs::write(
            &properties,
            format!(
                "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
                 controller.listener.names=CONTROLLER\nlisteners=INTERNAL://127.0.0.1:2,CONTROLLER://127.0.0.1:1\n\
                 inter.broker.listener.name=INTERNAL\n\
                 listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n",
                data.display()
            ),
        )?;
        let mut format = java(jars, "kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            format.arg("--add-scram").arg(format!("{mechanism}=[name={SCRAM_USER},password={PASSWORD}]"));
        }
        run(&mut format)?;
        Ok(())
    })?;
    Ok(folder.join("data"))
}

/// A Python with the stock client, which includes librdkafka.
pub(super) fn python() -> anyhow::Result<PathBuf> {
    python::with_packages("kafka-python", include_str!("../../python/kafka.requirements.txt"))
}
