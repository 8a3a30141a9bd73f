//! Lacks of the platform, for its operator: one log line at the start and one at the end of a lack, and a list on
//! request.

use std::time::Duration;

use domain::Timestamp;
use domain::outcome::Lack;

/// Period without a lack after which it is over, so that an intermittent one is reported once.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Lacks reported to the operator.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    reported: Vec<Reported>,
}

#[derive(Debug)]
struct Reported {
    lack: Lack,
    since: Timestamp,
    met_at: Timestamp,
}

impl Lacks {
    /// Whether any lack is in force, or was recently.
    pub(super) fn any(&self) -> bool {
        !self.reported.is_empty()
    }

    /// Records the lacks now in force. Returns all shown ones, in order, if they have changed.
    pub(super) fn are(&mut self, lacks: &[Lack], now: Timestamp) -> Option<Vec<Lack>> {
        let before = self.reported.len();
        for lack in lacks {
            match self.reported.iter_mut().find(|reported| reported.lack == *lack) {
                Some(reported) => reported.met_at = now,
                None => {
                    tracing::error!(
                        %lack,
                        "{}; affected deliveries wait, and this does not count against destinations",
                        begins(*lack)
                    );
                    self.reported.push(Reported { lack: *lack, since: now, met_at: now });
                }
            }
        }
        let mut changed = self.reported.len() != before;
        self.reported.retain(|reported| {
            let goes_on = now.since(reported.met_at) < OVER_AFTER;
            if !goes_on {
                let seconds = reported.met_at.since(reported.since).as_secs();
                tracing::info!(
                    lack = %reported.lack,
                    seconds,
                    "the missing resource is available again; deliveries continue"
                );
            }
            changed |= !goes_on;
            goes_on
        });
        changed.then(|| {
            let mut lacks: Vec<Lack> = self.reported.iter().map(|reported| reported.lack).collect();
            lacks.sort_unstable();
            lacks
        })
    }
}

/// The missing resource, and where to look.
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
