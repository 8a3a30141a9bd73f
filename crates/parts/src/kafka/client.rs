//! The stock client of tests: contents of topics, and administration of topics and rights.

use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::broker::{Broker, Listener};
use super::fetch;
use crate::place::source;
use crate::tool::run;

/// A record as seen by an independent consumer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Record {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Key.
    pub key: Option<String>,
    /// Value.
    pub value: Option<String>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<String>)>,
}

impl Broker {
    /// Creates a topic, with settings such as `("max.message.bytes", "20000")`.
    pub fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]) -> anyhow::Result<()> {
        self.client(&["create", name, &partitions.to_string(), &json(config)]).map(|_| ())
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> anyhow::Result<()> {
        self.client(&["delete", name]).map(|_| ())
    }

    /// Changes settings of a topic.
    pub fn alter_topic(&self, name: &str, config: &[(&str, &str)]) -> anyhow::Result<()> {
        self.client(&["alter", name, &json(config)]).map(|_| ())
    }

    /// Grants a user a right on a topic: `WRITE`, `DESCRIBE`.
    pub fn allow(&self, user: &str, operation: &str, topic: &str) -> anyhow::Result<()> {
        self.client(&["allow", user, operation, topic]).map(|_| ())
    }

    /// All records of a topic, by partition and in order, once there are `at_least` this many; fewer after `seconds`.
    pub fn consume(&self, topic: &str, at_least: usize, seconds: u32) -> anyhow::Result<Vec<Record>> {
        let printed = self.client(&["consume", topic, &at_least.to_string(), &seconds.to_string()])?;
        printed.lines().map(|line| serde_json::from_str(line).context("invalid output of the consumer")).collect()
    }

    fn client(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(fetch::python()?);
        command.arg(source("python/kafka_client.py"));
        command.arg(format!("bootstrap.servers={}", self.bootstrap(Listener::Internal)));
        run(command.args(arguments))
    }
}

fn json(config: &[(&str, &str)]) -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        config.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    serde_json::Value::Object(map).to_string()
}
