//! The list of all metrics: what is written into `/metrics`, and what `docs/reference/metrics.md` is made from. Nothing is exported that is
//! not in it, and a sample has exactly the labels that it names.

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Counts up from the start of the process; `_total` is added to its name.
    Counter,
    /// A value at one moment.
    Gauge,
    /// Durations by buckets, in seconds.
    Histogram,
    /// Facts in labels; `_info` is added to its name.
    Info,
}

/// A metric.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name, without what its kind adds.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    /// What it says, in one or two sentences.
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($( $(#[doc = $section:literal])* $name:ident = $kind:ident $text:literal [$($label:literal),*] $help:literal; )*) => {
        /// Names a metric.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Metric { $( #[doc = $help] $name, )* }

        /// All metrics, in the order in which they are written.
        pub(crate) static FAMILIES: &[Family] = &[
            $( Family { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help }, )*
        ];
    };
}

families! {
    EventsAccepted = Counter "postrider_events_accepted" []
        "Events in requests that were accepted, known ones included.";
    EventsDuplicate = Counter "postrider_events_duplicate" []
        "Accepted events whose id was known already; they are not delivered again.";
    EventsUnknownType = Counter "postrider_events_unknown_type" []
        "Accepted events of a type that is not in the catalogue.";
    EventsUnfitting = Counter "postrider_events_unfitting" []
        "Events whose payload does not fit the schema of their type.";
    IngestRefused = Counter "postrider_ingest_requests_refused" ["reason"]
        "Requests with events of which nothing was taken.";
    BridgeRequests = Counter "postrider_events_api_requests" ["result"]
        "Requests of self-hosted PIMs at /ingest/akeneo, by whether their signature was genuine.";
    BridgeEvents = Counter "postrider_events_api_events" ["result"]
        "Events of self-hosted PIMs, and what was made of them: deltas, why there is none, and events that reconciliation found.";

    HttpRequests = Counter "postrider_http_requests" ["route", "method", "status"]
        "Requests that were answered, by template of their address and class of their status; kinds that never occurred are not shown.";
    HttpDuration = Histogram "postrider_http_request_duration_seconds" ["surface"]
        "From the end of a request's head to its answer. `ingest` includes the wait for stable storage.";
    HttpUnauthorized = Counter "postrider_http_unauthorized" ["surface"]
        "Requests that were answered with 401.";
    HttpRateLimited = Counter "postrider_http_rate_limited" []
        "Management requests that were answered with 429, for they were beyond `api.rate`.";

    EventsRouted = Counter "postrider_events_routed" []
        "Events that were looked at by the router.";
    EventsMatched = Counter "postrider_events_matched" []
        "Pairs of an event and a subscription that it is for. A subscription that is behind is counted when it reads the event.";
    EventsFilteredOut = Counter "postrider_events_filtered_out" []
        "Pairs of an event and a subscription to its type whose filter did not let it pass.";
    RoutingLag = Histogram "postrider_routing_lag_seconds" []
        "From the acceptance of an event to its routing, observed once for each batch of up to 256 events.";
    RoutingBacklog = Gauge "postrider_routing_backlog_events" []
        "Events that are stored and not routed yet.";
    EngineTurn = Histogram "postrider_engine_turn_seconds" []
        "How long the delivery loop is busy before it waits again: what everything else waits for at most.";

    Attempts = Counter "postrider_delivery_attempts" ["destination_type", "outcome"]
        "Attempts to deliver an event, by how they ended. Each event of a topic's batch counts.";
    Failures = Counter "postrider_delivery_failures" ["destination_type", "reason"]
        "Attempts that failed, were refused or found the destination broken, by error reason; reasons that never occurred are not shown.";
    AttemptDuration = Histogram "postrider_delivery_attempt_duration_seconds" ["destination_type"]
        "How long attempts took: a request for HTTPS, a batch for a topic.";
    Latency = Histogram "postrider_delivery_latency_seconds" ["destination_type"]
        "From the acceptance of an event to the end of the attempt that delivered it, retries and pauses included.";
    InFlight = Gauge "postrider_delivery_in_flight_events" ["destination_type"]
        "Events in attempts under way.";
    Connections = Gauge "postrider_delivery_connections_open" []
        "Connections to HTTPS endpoints, in use or resting.";
    GivenUp = Counter "postrider_events_given_up" []
        "Deliveries that will not be tried again: refused, or failed too often or for too long.";
    Dropped = Counter "postrider_events_dropped" ["why"]
        "Deliveries that were dropped from a backlog: by a suspension or revocation, because of the age of the event, or for room.";

    Subscriptions = Gauge "postrider_subscriptions" ["destination_type", "status"]
        "Subscriptions by status.";
    Suspensions = Counter "postrider_suspensions" ["reason"]
        "Suspensions by reason: `success_rate`, `user`, `operator`, `permission_withdrawn`, or the error reason that made the destination unusable.";
    Behind = Gauge "postrider_subscriptions_behind" ["destination_type"]
        "Active subscriptions that cannot keep up and read their events from the log.";
    Backlog = Gauge "postrider_backlog_events" ["destination_type"]
        "Events that active subscriptions have at hand: in memory, under way, or waiting. What those that are behind have still to read is not in it.";
    WaitingRetry = Gauge "postrider_waiting_retry_events" ["destination_type"]
        "Events that wait for a retry.";
    WaitingTurn = Gauge "postrider_waiting_turn_events" ["destination_type"]
        "Events that were throttled, or wait for an earlier event of their entity.";
    OldestAge = Gauge "postrider_oldest_undelivered_seconds" ["destination_type"]
        "Age of the oldest event that an active subscription still has to deliver; 0 if there is none. For a subscription that is behind it is that of the next event of its PIM, whatever its type.";
    LogLag = Gauge "postrider_log_lag_events" ["destination_type"]
        "Events between the head of the log and the active subscription that is furthest behind.";

    SubscriptionDelivered = Counter "postrider_subscription_delivered" ["subscription", "pim", "destination_type"]
        "Events delivered for one subscription.";
    SubscriptionFailed = Counter "postrider_subscription_failed_attempts" ["subscription", "pim", "destination_type"]
        "Attempts of one subscription that failed.";
    SubscriptionBacklog = Gauge "postrider_subscription_backlog_events" ["subscription", "pim", "destination_type"]
        "Events that one subscription has at hand.";
    SubscriptionOldest = Gauge "postrider_subscription_oldest_undelivered_seconds" ["subscription", "pim", "destination_type"]
        "Age of the oldest event that one subscription has at hand; 0 if there is none.";
    SubscriptionLag = Gauge "postrider_subscription_log_lag_events" ["subscription", "pim", "destination_type"]
        "Events of the log that one subscription has still to look through; 0 if it keeps up.";
    SubscriptionRate = Gauge "postrider_subscription_rate" ["subscription", "pim", "destination_type"]
        "Deliveries a second that one HTTPS subscription makes at most at the moment.";
    WithoutSeries = Gauge "postrider_subscriptions_without_series" []
        "Active and suspended subscriptions that have no series of their own, because of `metrics.per_subscription_at_most`.";

    CommitDuration = Histogram "postrider_store_commit_duration_seconds" []
        "How long transactions took, the disk's sync included.";
    StoreRequests = Counter "postrider_store_requests" []
        "Appends, changes and saves that were committed, several in one transaction.";
    StoreEvents = Counter "postrider_store_events" []
        "Events that were written to the log.";
    StoreEventBytes = Counter "postrider_store_event_bytes" []
        "Bytes of the events that were written to the log.";
    FailedCommits = Counter "postrider_store_failed_commits" []
        "Transactions that failed; nothing of them was kept.";
    SaveDuration = Histogram "postrider_store_save_duration_seconds" []
        "How long it took to save the progress of subscriptions.";
    FailedSaves = Counter "postrider_store_failed_saves" []
        "Saves of progress that failed; they are tried again.";
    BacklogBytes = Gauge "postrider_backlog_bytes" []
        "Bytes of stored events of all PIMs.";
    BacklogLimit = Gauge "postrider_backlog_limit_bytes" []
        "Bytes of stored events beyond which producers get 429 (`storage.max_log_size`); those of one PIM beyond half of it.";
    DatabaseUsed = Gauge "postrider_database_used_bytes" []
        "Bytes of the database in use, events included.";
    DatabaseFile = Gauge "postrider_database_file_bytes" []
        "Size of the database's file, free pages included.";
    WalFile = Gauge "postrider_database_wal_bytes" []
        "Size of the write-ahead log's file.";
    DiskFree = Gauge "postrider_disk_free_bytes" []
        "Free space on the disk of the data folder.";
    DiskFreeLimit = Gauge "postrider_disk_free_limit_bytes" []
        "Free space below which producers get 429 (`storage.min_free_disk`).";
    LogSpan = Gauge "postrider_log_span_events" []
        "Events from the oldest that is kept to the head of the log; those in between that nobody needs any more are counted as well.";
    LogEntries = Counter "postrider_log_entries" ["kind"]
        "Entries written to the logs of subscribers: `added`, or `merged` with an equal one of the last minutes.";

    NotificationsSent = Counter "postrider_notifications_sent" ["channel"]
        "Notifications that were taken by the webhook or the mail server.";
    NotificationsFailed = Counter "postrider_notifications_failed" ["channel"]
        "Attempts to send a notification that failed: it is tried again, goes another way, or is given up.";
    NotificationsGivenUp = Counter "postrider_notifications_given_up" []
        "Notifications that will not be sent.";
    NotificationsDropped = Counter "postrider_notifications_dropped" []
        "Notifications that gave way to newer ones because their PIM had 2,000 of them.";
    NotificationsWaiting = Gauge "postrider_notifications_waiting" []
        "Notifications that wait to be sent, counted up to 10,000.";

    ProductStatesDropped = Counter "postrider_product_states_dropped" []
        "Product states of the Events API bridge that were not kept because those of their PIM take all that they may.";

    Spans = Counter "postrider_spans" ["result"]
        "Spans of traces: `exported`, `dropped` because the queue was full, or `failed` because the collector did not take them.";

    Build = Info "postrider_build" ["version"]
        "What runs.";
    Missing = Gauge "postrider_metrics_missing" ["part"]
        "1 if a part of the platform did not answer within a second, so that its gauges are not in this scrape.";
    ProcessCpu = Counter "process_cpu_seconds" []
        "Processor time that the process used.";
    ProcessResident = Gauge "process_resident_memory_bytes" []
        "Memory that the process holds.";
    ProcessVirtual = Gauge "process_virtual_memory_bytes" []
        "Address space of the process.";
    ProcessThreads = Gauge "process_threads" []
        "Threads of the process.";
    ProcessOpenFds = Gauge "process_open_fds" []
        "File descriptors that are open.";
    ProcessMaxFds = Gauge "process_max_fds" []
        "File descriptors that may be open.";
    ProcessStart = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
}

#[cfg(test)]
impl Family {
    /// The name under which its samples are found; a histogram has `_bucket`, `_sum` and `_count` of it.
    pub(crate) fn full_name(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The rules of Prometheus and OpenMetrics for names.
    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("postrider_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{name}: the kind adds that");
            assert!(family.help.ends_with('.'), "{name}: its help is no sentence");
            assert_eq!(
                family.kind == Kind::Histogram,
                name.ends_with("_seconds") && family.kind != Kind::Gauge && family.kind != Kind::Counter,
                "{name}"
            );
            assert!(
                family.labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            );
        }
    }
}
