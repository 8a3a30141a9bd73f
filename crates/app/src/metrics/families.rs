//! The list of all metrics, which defines `/metrics` and `docs/reference/metrics.md`. Only listed metrics are exported,
//! and samples have exactly the listed labels.

/// Metric types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Counts up from the start of the process; `_total` is appended to its name.
    Counter,
    /// A current value.
    Gauge,
    /// Durations by buckets, in seconds.
    Histogram,
    /// Facts in labels; `_info` is appended to its name.
    Info,
}

/// A metric.
#[derive(Debug)]
pub(crate) struct Family {
    /// Name, without the suffix of its type.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    /// Help text, one or two sentences.
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($(
        $(#[doc = $section:literal])* $name:ident = $kind:ident $text:literal [$($label:literal),*] $help:literal;
    )*) => {
        /// Defines a metric.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Metric { $( #[doc = $help] $name, )* }

        /// All metrics, in output order.
        pub(crate) static FAMILIES: &[Family] = &[
            $( Family { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help }, )*
        ];
    };
}

families! {
    EventsAccepted = Counter "postrider_events_accepted" []
        "Events in accepted requests, including duplicates.";
    EventsDuplicate = Counter "postrider_events_duplicate" []
        "Accepted events with a known id; they are not delivered again.";
    EventsUnknownType = Counter "postrider_events_unknown_type" []
        "Accepted events of unknown type.";
    EventsUnfitting = Counter "postrider_events_unfitting" []
        "Events whose payload does not match the schema of their type.";
    IngestRefused = Counter "postrider_ingest_requests_refused" ["reason"]
        "Rejected requests with events.";
    BridgeRequests = Counter "postrider_events_api_requests" ["result"]
        "Requests of self-hosted PIMs at /ingest/akeneo, by result of the signature check.";
    BridgeEvents = Counter "postrider_events_api_events" ["result"]
        "Events of self-hosted PIMs by result: deltas, reasons for missing deltas, and events found by reconciliation.";

    HttpRequests = Counter "postrider_http_requests" ["route", "method", "status"]
        "Answered requests by path template and status class; combinations that never occurred are omitted.";
    HttpDuration = Histogram "postrider_http_request_duration_seconds" ["surface"]
        "Time from the end of a request's head to its response. `ingest` includes the wait for stable storage.";
    HttpUnauthorized = Counter "postrider_http_unauthorized" ["surface"]
        "Requests answered with 401.";
    HttpRateLimited = Counter "postrider_http_rate_limited" []
        "Management requests answered with 429 because they exceeded `api.rate`.";

    EventsRouted = Counter "postrider_events_routed" []
        "Events processed by the router.";
    EventsMatched = Counter "postrider_events_matched" []
        "Pairs of an event and a matching subscription. A lagging subscription is counted when it reads the event.";
    EventsFilteredOut = Counter "postrider_events_filtered_out" []
        "Pairs of an event and a subscription to its type whose filter rejected it.";
    RoutingLag = Histogram "postrider_routing_lag_seconds" []
        "Time from the acceptance of an event to its routing, observed once per batch of up to 256 events.";
    RoutingBacklog = Gauge "postrider_routing_backlog_events" []
        "Stored events that are not routed yet.";
    EngineTurn = Histogram "postrider_engine_turn_seconds" []
        "Duration of one iteration of the delivery loop, which is the longest that other work waits for it.";

    Attempts = Counter "postrider_delivery_attempts" ["destination_type", "outcome"]
        "Attempts to deliver an event, by outcome. Each event of a topic's batch counts.";
    Failures = Counter "postrider_delivery_failures" ["destination_type", "reason"]
        "Unsuccessful attempts by error reason; reasons that never occurred are omitted.";
    AttemptDuration = Histogram "postrider_delivery_attempt_duration_seconds" ["destination_type"]
        "Duration of attempts: a request for HTTPS, a batch for a topic.";
    Latency = Histogram "postrider_delivery_latency_seconds" ["destination_type"]
        "Time from the acceptance of an event to the end of the successful attempt, including retries and pauses.";
    Replayed = Counter "postrider_replay_attempts" ["outcome"]
        "Attempts of replays to deliver an event, by outcome. The metrics of deliveries don't include them.";
    InFlight = Gauge "postrider_delivery_in_flight_events" ["destination_type"]
        "Events in flight.";
    Connections = Gauge "postrider_delivery_connections_open" []
        "Connections to HTTPS endpoints, active or idle.";
    GivenUp = Counter "postrider_events_given_up" []
        "Deliveries given up: rejected, or failed too often or for too long.";
    Dropped = Counter "postrider_events_dropped" ["why"]
        "Deliveries dropped from a backlog: by a suspension or revocation, for age, or to free space.";

    Subscriptions = Gauge "postrider_subscriptions" ["destination_type", "status"]
        "Subscriptions by status.";
    Suspensions = Counter "postrider_suspensions" ["reason"]
        "Suspensions by reason: `success_rate`, `user`, `operator`, `permission_withdrawn`, or the error reason of the \
         broken destination.";
    Behind = Gauge "postrider_subscriptions_behind" ["destination_type"]
        "Lagging active subscriptions, which read their events from the log.";
    Backlog = Gauge "postrider_backlog_events" ["destination_type"]
        "Pending events of active subscriptions: loaded, in flight, or waiting. Excludes events that lagging \
         subscriptions have yet to read.";
    WaitingRetry = Gauge "postrider_waiting_retry_events" ["destination_type"]
        "Events waiting for a retry.";
    WaitingTurn = Gauge "postrider_waiting_turn_events" ["destination_type"]
        "Events that are throttled, or waiting for an earlier event of their entity.";
    OldestAge = Gauge "postrider_oldest_undelivered_seconds" ["destination_type"]
        "Age of the oldest undelivered event of an active subscription; 0 if there is none. For a lagging \
         subscription, the age of its PIM's next event of any type.";
    LogLag = Gauge "postrider_log_lag_events" ["destination_type"]
        "Events between the head of the log and the slowest active subscription.";

    SubscriptionDelivered = Counter "postrider_subscription_delivered" ["subscription", "pim", "destination_type"]
        "Events delivered for one subscription.";
    SubscriptionFailed = Counter "postrider_subscription_failed_attempts" ["subscription", "pim", "destination_type"]
        "Failed attempts of one subscription.";
    SubscriptionBacklog = Gauge "postrider_subscription_backlog_events" ["subscription", "pim", "destination_type"]
        "Pending events of one subscription.";
    SubscriptionOldest = Gauge
        "postrider_subscription_oldest_undelivered_seconds" ["subscription", "pim", "destination_type"]
        "Age of the oldest pending event of one subscription; 0 if there is none.";
    SubscriptionLag = Gauge "postrider_subscription_log_lag_events" ["subscription", "pim", "destination_type"]
        "Events of the log that one subscription has yet to scan; 0 if it keeps up.";
    SubscriptionRate = Gauge "postrider_subscription_rate" ["subscription", "pim", "destination_type"]
        "Current rate limit of one HTTPS subscription, in deliveries per second.";
    WithoutSeries = Gauge "postrider_subscriptions_without_series" []
        "Active and suspended subscriptions without their own series, because of `metrics.per_subscription_at_most`.";

    CommitDuration = Histogram "postrider_store_commit_duration_seconds" []
        "Duration of transactions, including the sync.";
    StoreRequests = Counter "postrider_store_requests" []
        "Committed appends, changes and saves; a transaction contains several.";
    StoreEvents = Counter "postrider_store_events" []
        "Events written to the log.";
    StoreEventBytes = Counter "postrider_store_event_bytes" []
        "Bytes of events written to the log.";
    FailedCommits = Counter "postrider_store_failed_commits" []
        "Failed transactions, which were rolled back.";
    SaveDuration = Histogram "postrider_store_save_duration_seconds" []
        "Duration of saving the progress of subscriptions.";
    FailedSaves = Counter "postrider_store_failed_saves" []
        "Failed saves of progress; they are retried.";
    BacklogBytes = Gauge "postrider_backlog_bytes" []
        "Bytes of events that some subscription still needs, of all PIMs.";
    BacklogLimit = Gauge "postrider_backlog_limit_bytes" []
        "Limit of `postrider_backlog_bytes`, above which producers get 429 (`storage.max_log_size`); the limit of one \
         PIM is half of it.";
    KeptBytes = Gauge "postrider_kept_bytes" []
        "Bytes of delivered events that are kept, of all PIMs, with the records about them.";
    KeptLimit = Gauge "postrider_kept_limit_bytes" []
        "Limit of `postrider_kept_bytes`, above which the oldest are deleted (`storage.keep_delivered_size`).";
    DatabaseUsed = Gauge "postrider_database_used_bytes" []
        "Bytes of the database in use, events included.";
    DatabaseFile = Gauge "postrider_database_file_bytes" []
        "Size of the database file, including free pages.";
    WalFile = Gauge "postrider_database_wal_bytes" []
        "Size of the write-ahead log file.";
    DiskFree = Gauge "postrider_disk_free_bytes" []
        "Free space on the disk of the data folder.";
    DiskFreeLimit = Gauge "postrider_disk_free_limit_bytes" []
        "Free space below which delivered events are deleted, and then producers get 429 (`storage.min_free_disk`).";
    LogSpan = Gauge "postrider_log_span_events" []
        "Events from the oldest stored one to the head of the log, including those in between that were deleted.";
    LogEntries = Counter "postrider_log_entries" ["kind"]
        "Entries written to the logs of subscribers: `added`, or `merged` with a recent identical one.";

    ShardsOwned = Gauge "postrider_shards_owned" []
        "Shards whose events this node delivers.";
    ShardsUnowned = Gauge "postrider_shards_unowned" []
        "Shards that no node delivers at the moment: without an owner, or with one that shows no sign of life.";
    Takeovers = Counter "postrider_shard_takeovers" []
        "Shards taken up by this node, those of its start included.";
    NodesLive = Gauge "postrider_nodes_live" []
        "Nodes that have shown a sign of life within `store.lease`, as seen by this node.";
    ClusterCalls = Counter "postrider_cluster_calls" ["result"]
        "Questions of this node to owners of other shards, by result.";
    ClusterNudges = Counter "postrider_cluster_nudges" ["result"]
        "Nudges of other owners after something was committed for them, by result. Failed ones only cost latency.";
    ClusterNudged = Counter "postrider_cluster_nudges_received" []
        "Nudges by other nodes.";

    NotificationsSent = Counter "postrider_notifications_sent" ["channel"]
        "Notifications accepted by the webhook or the mail server.";
    NotificationsFailed = Counter "postrider_notifications_failed" ["channel"]
        "Failed attempts to send a notification; it is retried, sent by another channel, or given up.";
    NotificationsGivenUp = Counter "postrider_notifications_given_up" []
        "Notifications given up.";
    NotificationsUnconfirmed = Counter "postrider_notifications_unconfirmed" []
        "Emails not sent because their address is not confirmed.";
    NotificationsDropped = Counter "postrider_notifications_dropped" []
        "Notifications displaced by newer ones because their PIM had 2,000 pending ones.";
    NotificationsWaiting = Gauge "postrider_notifications_waiting" []
        "Pending notifications, counted up to 10,000.";

    ProductStatesDropped = Counter "postrider_product_states_dropped" []
        "Product states of the Events API bridge that were discarded because their PIM reached its limit.";

    Spans = Counter "postrider_spans" ["result"]
        "Spans of traces: `exported`, `dropped` because the queue was full, or `failed` because the collector did not \
         accept them.";

    Build = Info "postrider_build" ["version"]
        "Version of the running program.";
    Missing = Gauge "postrider_metrics_missing" ["part"]
        "1 if a part of the platform did not answer within a second, so its gauges are missing from this scrape.";
    ProcessCpu = Counter "process_cpu_seconds" []
        "Processor time used by the process.";
    ProcessResident = Gauge "process_resident_memory_bytes" []
        "Resident memory of the process.";
    ProcessVirtual = Gauge "process_virtual_memory_bytes" []
        "Address space of the process.";
    ProcessThreads = Gauge "process_threads" []
        "Threads of the process.";
    ProcessOpenFds = Gauge "process_open_fds" []
        "Open file descriptors.";
    ProcessMaxFds = Gauge "process_max_fds" []
        "Limit of open file descriptors.";
    ProcessStart = Gauge "process_start_time_seconds" []
        "Start time of the process, in seconds since 1970.";
}

#[cfg(test)]
impl Family {
    /// Name of its samples; a histogram appends `_bucket`, `_sum` and `_count`.
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

    /// Naming rules of Prometheus and OpenMetrics.
    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("postrider_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{name}: the kind adds that");
            assert!(family.help.ends_with('.'), "{name}: its help is not a sentence");
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
