//! The signals that end the program: Ctrl-C and SIGTERM.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for Ctrl-C and SIGTERM from its making on: one that comes before anybody waits is not lost.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Starts to listen.
    pub(crate) fn listen() -> anyhow::Result<Stop> {
        let interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be listened for")?;
        let terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
        Ok(Stop { interrupt, terminate })
    }

    /// Waits for one. A second one ends the process at once, with the exit code that shells give to an interrupted program.
    pub(crate) async fn wait(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
