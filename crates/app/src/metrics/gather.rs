//! Collects samples from the crates' counters, the engine and the store. Counters are read directly; the engine and the
//! store have a time limit.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::destination::DestinationType;
use domain::{Clock, Timestamp};
use engine::core::{Survey, suspension_names};
use intake::Bridge;
use meter::Counters;
use sinks::{Sink, Sinks};
use store::Backend;

use super::families::Metric;
use super::process;
use super::sheet::Sheet;
use crate::owners::Owners;
use crate::running::Running;
use crate::traces::Fate;

/// Sources that take longer are missing from the scrape.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sources of the figures.
pub(crate) struct Sources {
    pub(crate) counters: Arc<api::Counters>,
    pub(crate) bridge: Weak<Bridge>,
    pub(crate) running: Arc<Running>,
    pub(crate) engine: Arc<engine::Meters>,
    pub(crate) sinks: Arc<Sinks>,
    /// Weak: a scrape must not be the last owner that closes the store.
    pub(crate) store: Weak<dyn Backend>,
    pub(crate) store_meters: Arc<store::figures::Meters>,
    pub(crate) notify: Arc<notify::Meters>,
    pub(crate) calls: Arc<cluster::call::Meters>,
    pub(crate) owners: Weak<Owners>,
    pub(crate) spans: Arc<Counters<Fate>>,
    /// Maximum number of subscriptions with their own series.
    pub(crate) per_subscription_at_most: usize,
    pub(crate) clock: Clock,
}

/// Collects all samples.
pub(super) async fn gather(sources: &Sources) -> Sheet {
    let mut sheet = Sheet::new();
    sheet.count(Metric::Build, &[env!("CARGO_PKG_VERSION")], 1);
    process::put(&mut sheet);
    ingest(sources, &mut sheet);
    requests(sources, &mut sheet);
    deliveries(sources, &mut sheet);
    store_counts(sources, &mut sheet);
    notifications(sources, &mut sheet);
    for (result, count) in sources.spans.all() {
        sheet.count(Metric::Spans, &[result], count);
    }
    nodes(sources, &mut sheet).await;
    let (survey, figures) = tokio::join!(survey(sources), store(sources, &mut sheet));
    let missing = |is_missing: bool| if is_missing { 1 } else { 0 };
    sheet.count(Metric::Missing, &["engine"], missing(survey.is_none()));
    sheet.count(Metric::Missing, &["store"], missing(figures.is_none()));
    if let Some(survey) = survey {
        lanes(sources, &survey, &mut sheet);
        subscriptions(sources, &survey, &mut sheet).await;
    }
    sheet
}

fn ingest(sources: &Sources, sheet: &mut Sheet) {
    let counts = sources.counters.counts();
    sheet.count(Metric::EventsAccepted, &[], counts.accepted);
    sheet.count(Metric::EventsDuplicate, &[], counts.duplicates);
    sheet.count(Metric::EventsUnknownType, &[], counts.unknown_types);
    sheet.count(Metric::EventsUnfitting, &[], counts.unfitting_payloads);
    for (reason, count) in sources.counters.refused() {
        sheet.count(Metric::IngestRefused, &[reason], count);
    }
    let Some(bridge) = sources.bridge.upgrade() else { return };
    let counts = bridge.counts();
    for (result, count) in [("verified", counts.verified), ("refused", counts.refused)] {
        sheet.count(Metric::BridgeRequests, &[result], count);
    }
    for (result, count) in [
        ("understood", counts.events),
        ("duplicate", counts.duplicates),
        ("delta", counts.deltas),
        ("bad", counts.bad),
        ("unknown_action", counts.unknown),
        ("uncompared", counts.uncompared),
        ("too_large", counts.too_large),
        ("reconciled", counts.filled),
    ] {
        sheet.count(Metric::BridgeEvents, &[result], count);
    }
}

fn requests(sources: &Sources, sheet: &mut Sheet) {
    let requests = &sources.counters.requests;
    for kind in requests.answered() {
        sheet.count(Metric::HttpRequests, &[kind.route, kind.method, kind.status], kind.count);
    }
    for (surface, measured) in requests.duration.all() {
        sheet.histogram(Metric::HttpDuration, &[surface], measured);
    }
    for (surface, count) in requests.unauthorized.all() {
        sheet.count(Metric::HttpUnauthorized, &[surface], count);
    }
    sheet.count(Metric::HttpRateLimited, &[], requests.rate_limited.get());
}

fn deliveries(sources: &Sources, sheet: &mut Sheet) {
    let meters = &sources.engine;
    for of in DestinationType::ALL {
        let attempts = meters.attempts(of);
        for (outcome, count) in attempts.endings.all() {
            sheet.count(Metric::Attempts, &[of.name(), outcome], count);
        }
        for (reason, count) in attempts.failures.all().filter(|(_, count)| *count > 0) {
            sheet.count(Metric::Failures, &[of.name(), reason], count);
        }
        sheet.histogram(Metric::AttemptDuration, &[of.name()], attempts.duration.measured());
        sheet.histogram(Metric::Latency, &[of.name()], attempts.latency.measured());
    }
    for (outcome, count) in meters.replayed.all() {
        sheet.count(Metric::Replayed, &[outcome], count);
    }
    sheet.histogram(Metric::RoutingLag, &[], meters.routing_lag.measured());
    sheet.histogram(Metric::EngineTurn, &[], meters.turn.measured());
    sheet.histogram(Metric::SaveDuration, &[], meters.save_duration.measured());
    sheet.count(Metric::FailedSaves, &[], meters.failed_saves.get());
    sheet.count(Metric::Connections, &[], sources.sinks.open_connections() as u64);
}

fn store_counts(sources: &Sources, sheet: &mut Sheet) {
    let meters = &sources.store_meters;
    sheet.histogram(Metric::CommitDuration, &[], meters.commit_duration.measured());
    sheet.count(Metric::StoreRequests, &[], meters.requests.get());
    sheet.count(Metric::StoreEvents, &[], meters.events.get());
    sheet.count(Metric::StoreEventBytes, &[], meters.event_bytes.get());
    sheet.count(Metric::FailedCommits, &[], meters.failed_commits.get());
    sheet.count(Metric::LogEntries, &["added"], meters.entries.get());
    sheet.count(Metric::LogEntries, &["merged"], meters.merged_entries.get());
    sheet.count(Metric::NotificationsDropped, &[], meters.dropped_notifications.get());
    sheet.count(Metric::ProductStatesDropped, &[], meters.dropped_snapshots.get());
}

fn notifications(sources: &Sources, sheet: &mut Sheet) {
    let meters = &sources.notify;
    for (channel, count) in meters.sent.all() {
        sheet.count(Metric::NotificationsSent, &[channel], count);
    }
    for (channel, count) in meters.failed.all() {
        sheet.count(Metric::NotificationsFailed, &[channel], count);
    }
    sheet.count(Metric::NotificationsUnconfirmed, &[], meters.unconfirmed.get());
    sheet.count(Metric::NotificationsGivenUp, &[], meters.given_up.get());
}

async fn nodes(sources: &Sources, sheet: &mut Sheet) {
    for (result, count) in sources.calls.calls.all() {
        sheet.count(Metric::ClusterCalls, &[result], count);
    }
    for (result, count) in sources.calls.nudges.all() {
        sheet.count(Metric::ClusterNudges, &[result], count);
    }
    sheet.count(Metric::ClusterNudged, &[], sources.calls.nudged.get());
    sheet.count(Metric::ShardsOwned, &[], sources.running.count().await as u64);
    sheet.count(Metric::Takeovers, &[], sources.running.takeovers());
    let Some(owners) = sources.owners.upgrade() else { return };
    let Ok(Ok(roll)) = tokio::time::timeout(PATIENCE, owners.roll()).await else { return };
    let live = roll.nodes.iter().filter(|node| owners.is_live(node.id)).count();
    let unowned = roll.leases.iter().filter(|lease| !lease.owner.is_some_and(|owner| owners.is_live(owner))).count();
    sheet.count(Metric::NodesLive, &[], live as u64);
    sheet.count(Metric::ShardsUnowned, &[], unowned as u64);
}

async fn survey(sources: &Sources) -> Option<Survey> {
    tokio::time::timeout(PATIENCE, sources.running.survey(sources.per_subscription_at_most)).await.ok()?
}

/// The store's figures; `None` if it does not answer.
async fn store(sources: &Sources, sheet: &mut Sheet) -> Option<()> {
    let store = sources.store.upgrade()?;
    let bounds = store.bounds();
    sheet.count(Metric::BacklogLimit, &[], bounds.max_log_bytes);
    sheet.count(Metric::KeptLimit, &[], bounds.max_kept_bytes);
    sheet.count(Metric::DiskFreeLimit, &[], bounds.min_free_disk_bytes);
    let figures = tokio::time::timeout(PATIENCE, store.figures()).await.ok()?.ok()?;
    sheet.count(Metric::BacklogBytes, &[], figures.backlog_bytes);
    sheet.count(Metric::KeptBytes, &[], figures.kept_bytes);
    sheet.count(Metric::DatabaseUsed, &[], figures.used_bytes);
    for (metric, bytes) in [
        (Metric::DatabaseFile, figures.file_bytes),
        (Metric::WalFile, figures.wal_bytes),
        (Metric::DiskFree, figures.free_disk_bytes),
    ] {
        if let Some(bytes) = bytes {
            sheet.count(metric, &[], bytes);
        }
    }
    sheet.count(Metric::LogSpan, &[], figures.log_span);
    sheet.count(Metric::NotificationsWaiting, &[], figures.waiting_notifications);
    Some(())
}

fn lanes(sources: &Sources, survey: &Survey, sheet: &mut Sheet) {
    let now = sources.clock.wall();
    let totals = &survey.totals;
    sheet.count(Metric::EventsRouted, &[], totals.routed);
    sheet.count(Metric::EventsMatched, &[], totals.matched);
    sheet.count(Metric::EventsFilteredOut, &[], totals.filtered_out);
    sheet.count(Metric::GivenUp, &[], totals.given_up);
    sheet.count(Metric::Dropped, &["suspension"], totals.dropped_by_stop);
    sheet.count(Metric::Dropped, &["age"], totals.expired);
    sheet.count(Metric::Dropped, &["room"], totals.gave_way);
    for (reason, count) in suspension_names().zip(totals.suspensions) {
        sheet.count(Metric::Suspensions, &[reason], count);
    }
    sheet.count(Metric::RoutingBacklog, &[], survey.unrouted);
    for (of, lanes) in DestinationType::ALL.into_iter().zip(&survey.lanes) {
        let of = of.name();
        for (status, count) in [("active", lanes.active), ("suspended", lanes.suspended), ("revoked", lanes.revoked)] {
            sheet.count(Metric::Subscriptions, &[of, status], count);
        }
        sheet.count(Metric::Behind, &[of], lanes.behind);
        sheet.count(Metric::Backlog, &[of], lanes.backlog);
        sheet.count(Metric::InFlight, &[of], lanes.in_flight);
        sheet.count(Metric::WaitingRetry, &[of], lanes.waiting_retries);
        sheet.count(Metric::WaitingTurn, &[of], lanes.waiting_turns);
        sheet.number(Metric::OldestAge, &[of], age(lanes.oldest, now));
        sheet.count(Metric::LogLag, &[of], lanes.log_lag);
    }
    sheet.count(Metric::WithoutSeries, &[], survey.left_out);
}

async fn subscriptions(sources: &Sources, survey: &Survey, sheet: &mut Sheet) {
    if survey.subscriptions.is_empty() {
        return;
    }
    let Some(store) = sources.store.upgrade() else { return };
    let now = sources.clock.wall();
    let of = survey.subscriptions.iter().map(|figures| figures.subscription.pim).collect::<HashSet<_>>();
    let names = tokio::time::timeout(PATIENCE, store.pim_names(of.into_iter().collect())).await;
    let names = names.ok().and_then(Result::ok).unwrap_or_default();
    for figures in &survey.subscriptions {
        let (id, pim) = (figures.subscription.id.to_string(), figures.subscription.pim);
        // A removed PIM is only known by its number.
        let pim = names.get(&pim).cloned().unwrap_or_else(|| pim.to_string());
        let labels = [id.as_str(), pim.as_str(), figures.subscription.destination.of_type().name()];
        sheet.count(Metric::SubscriptionDelivered, &labels, figures.delivered);
        sheet.count(Metric::SubscriptionFailed, &labels, figures.failed);
        sheet.count(Metric::SubscriptionBacklog, &labels, figures.load.backlog);
        sheet.number(Metric::SubscriptionOldest, &labels, age(figures.load.oldest, now));
        sheet.count(Metric::SubscriptionLag, &labels, figures.lag);
        if let Some(rate) = figures.rate {
            sheet.number(Metric::SubscriptionRate, &labels, rate);
        }
    }
}

fn age(of: Option<Timestamp>, now: Timestamp) -> f64 {
    of.map_or(0.0, |at| now.since(at).as_secs_f64())
}
