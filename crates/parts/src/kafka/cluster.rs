//! Parts common to all brokers: id, users, and Kafka's programs.

use std::path::Path;
use std::process::Command;

/// Any 16 bytes in base64.
pub(super) const CLUSTER_ID: &str = "cG9zdHJpZGVyLXRlc3RzMQ";

/// User with all rights, for SASL PLAIN.
pub const USER: &str = "writer";
/// User with all rights, for SCRAM-SHA-256 and -512.
pub const SCRAM_USER: &str = "scram-writer";
/// User without any rights until [`Broker::allow`], for SASL PLAIN.
pub const OUTSIDER: &str = "outsider";
/// Password of all users.
pub const PASSWORD: &str = "correct-horse";
/// Number of additional users with all rights, `bulk-0` and so on, for SASL PLAIN.
pub const BULK_USERS: usize = 500;

/// One of Kafka's programs.
pub(super) fn java(jars: &Path, class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-Xshare:auto"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.arg("-cp").arg(jars.join("*")).arg(class);
    command
}
