//! What the platform lacks, for its operator: one line when a lack begins and one when it is over, and a list for
//! whoever asks.

use std::time::Duration;

use domain::outcome::Lack;
use tokio::sync::watch;
use tokio::time::Instant;

/// A lack that isn't met again for so long is over: one that comes and goes is told once.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// The lacks that the operator was told of.
pub(crate) struct Lacks {
    told: Vec<Told>,
    shown: watch::Sender<Vec<Lack>>,
}

struct Told {
    lack: Lack,
    since: Instant,
    met_at: Instant,
}

impl Lacks {
    pub(crate) fn new(shown: watch::Sender<Vec<Lack>>) -> Lacks {
        Lacks { told: Vec::new(), shown }
    }

    /// Whether any is in force, or was a moment ago.
    pub(crate) fn any(&self) -> bool {
        !self.told.is_empty()
    }

    /// These are in force now.
    pub(crate) fn are(&mut self, lacks: &[Lack]) {
        if lacks.is_empty() && self.told.is_empty() {
            return;
        }
        let now = Instant::now();
        let before = self.told.len();
        for lack in lacks {
            match self.told.iter_mut().find(|told| told.lack == *lack) {
                Some(told) => told.met_at = now,
                None => {
                    tracing::error!(
                        %lack,
                        "{}; affected deliveries wait, and this does not count against destinations",
                        begins(*lack)
                    );
                    self.told.push(Told { lack: *lack, since: now, met_at: now });
                }
            }
        }
        let mut changed = self.told.len() != before;
        self.told.retain(|told| {
            let goes_on = now.duration_since(told.met_at) < OVER_AFTER;
            if !goes_on {
                let seconds = told.met_at.duration_since(told.since).as_secs();
                tracing::info!(lack = %told.lack, seconds, "the missing resource is available again; deliveries \
                                                            continue");
            }
            changed |= !goes_on;
            goes_on
        });
        if changed {
            let mut lacks: Vec<Lack> = self.told.iter().map(|told| told.lack).collect();
            lacks.sort_unstable();
            self.shown.send_replace(lacks);
        }
    }
}

/// What is lacking, and where to look.
fn begins(lack: Lack) -> &'static str {
    match lack {
        Lack::NameServers => "no name server answers: check /etc/resolv.conf and the network",
        Lack::FileDescriptors => "the process has no file descriptors left: raise its limit (LimitNOFILE)",
        Lack::LocalPorts => "no local port is free for outgoing connections: check net.ipv4.ip_local_port_range",
        Lack::Memory => "no memory for outgoing connections",
        Lack::Proxy => "the egress proxy is unreachable or rejects the platform's credentials: check egress.proxy",
        Lack::Credentials => "the platform's own credentials are missing or rejected",
        Lack::Clock => "the platform's clock was rejected, or the process was suspended: check the time",
        Lack::Silence => "no destination answers: check the platform's network",
        Lack::Disk => "the disk is full",
        Lack::Store => "the store can't be written",
        Lack::Standby => "the standby that must confirm commits is missing",
    }
}
