//! Step two, "ready to use": the table of all settings, with documentation, type and default.
//!
//! The names in the file, the environment variables (`POSTRIDER_DELIVERY_RATE_FIRST`), the flags
//! (`--delivery-rate-first`), `--help`, `postrider config` and its reference all come from this table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::Secret;
use ipnet::IpNet;

use super::setting::settings;
use super::value::{
    Amount, Backend, BaseUrl, Connections, Count, HostPort, HostRate, LogFormat, Nat64Prefix, PerSecond, Port,
    SchemaCheck, Share, Size, SmtpSecurity, UnknownTypes, WebOrigin,
};

settings! {
    /// Identity of the platform, data folder, and allowed destinations.
    top: Top {
        /// Data folder: the event log, the catalogue, and the key file generated at the first start. Created if
        /// missing. Relative to the working directory.
        data_dir: PathBuf = "data";
        /// Address and port of the API. Port 0 chooses a free port and prints it. The platform serves plain HTTP: put a
        /// TLS proxy in front before you listen on more than loopback.
        listen: SocketAddr = "127.0.0.1:8080";
        /// Public URL of the platform, used in the `dataschema` of events. Empty: `http://` and the listen address.
        public_url: Option<BaseUrl> = "";
        /// CloudEvents `source` of all delivered events. Some older receivers expect `pim`.
        source: String = "akeneo-event-platform";
        /// Non-public networks in which destinations are allowed, such as `["10.1.0.0/16"]`. All other loopback,
        /// private, link-local and special addresses are rejected.
        allow_networks: Vec<IpNet> = "";
        /// Prefixes of your own NAT64 translators, such as `["2001:db8:64::/96"]`, in addition to `64:ff9b::/96`. An
        /// address with such a prefix is checked by its embedded IPv4 address, regardless of `allow_networks`.
        nat64_prefixes: Vec<Nat64Prefix> = "";
        /// Allows `http://` for destinations and notification URLs. For development only.
        allow_http_destinations: bool = "false";
        /// PEM files with additional root certificates for destinations and PIMs.
        extra_roots: Vec<PathBuf> = "";
    }

    /// Where events, catalogue and progress are stored.
    store: Store {
        /// `sqlite`: one file in the data folder, nothing to install. `postgres`: a PostgreSQL database, version 14 or
        /// later; the data folder then only holds the key file, if any.
        backend: Backend = "sqlite";
        /// URL of the database, such as "postgres://postrider@db1.example.com,db2.example.com/postrider"; with several
        /// hosts, the one that accepts writes is used. `sslmode` is `verify-full`, the default unless all hosts are
        /// loopback addresses, or `disable`. Required with `postgres`.
        url: Option<Secret> = "";
        /// Password of the URL's user; unless the URL contains it.
        password: Option<Secret> = "";
        /// PEM files with the root certificates of the database servers. Empty: the public ones and `extra_roots`.
        roots: Vec<PathBuf> = "";
        /// Connections for reads: 1 to 100. There are half as many for appends, as many for changes, and one for
        /// leases.
        connections: Connections = "8";
        /// Time within which the database must answer a statement: 1s to 60s. Afterwards the connection is abandoned,
        /// and producers get 503.
        timeout: Duration = "10s";
        /// Time after which the deliveries of a process that has disappeared are taken over: 2s to 60s.
        lease: Duration = "10s";
    }

    /// Several nodes on one database.
    cluster: Cluster {
        /// Address and port for calls of other nodes, such as "10.0.0.11:8090". Calls are sealed with the encryption
        /// keys but not encrypted: use a network of the nodes' own, never the public one. Empty: a lone node. Without
        /// it, other nodes answer 503 to questions about what this one delivers, and are found by looking at the
        /// database only.
        listen: Option<SocketAddr> = "";
        /// Host and port by which other nodes reach `cluster.listen`, such as "node1.internal:8090". Empty: the listen
        /// address.
        advertise: Option<HostPort> = "";
    }

    /// The API: management calls and event ingest.
    api: Api {
        /// Management requests per second and client; above it 429.
        rate: Count = "100";
        /// Maximum body size of a management request; above it 413.
        max_body: Size = "256 KiB";
        /// Maximum number of open connections; further ones wait.
        max_connections: Count = "10000";
        /// Key of the operator API under /api/v1/admin, at least 24 characters, sent as `Authorization: Bearer <key>`.
        /// Empty: the operator API is disabled.
        operator_key: Option<Secret> = "";
        /// A connection that sends no complete request header within this time is closed.
        header_timeout: Duration = "30s";
        /// A request whose body is incomplete after this time is aborted.
        body_timeout: Duration = "60s";
        /// Networks of reverse proxies. For their requests, the last address in `X-Forwarded-For` outside these
        /// networks counts as the client address in rate limits, memory shares and token checks. Never used for access
        /// control.
        trusted_proxies: Vec<IpNet> = "127.0.0.0/8,::1/128";
        /// Memory for request bodies, shared fairly by PIM; an eighth is reserved for Events API requests whose
        /// signature is still unverified. A request that gets no memory within 5 s is answered with 503. At least 16
        /// MiB.
        body_memory: Size = "64 MiB";
    }

    /// The console at /console.
    console: Console {
        /// Whether the console is served.
        enabled: bool = "true";
        /// Origins of sites that may show the pages of a console link in a frame, such as
        /// `["https://app.example.com"]`. Pages of signed-in integrators and operators can never be framed. Frames need
        /// an `https` `public_url`.
        frame_origins: Vec<WebOrigin> = "";
    }

    /// Outgoing connections.
    egress: Egress {
        /// Hosts that are reachable whenever your network works, such as `["example.com:443"]`. The platform connects
        /// to them only while no destination answers, to distinguish your outages from your destinations'. Any TCP
        /// server works.
        check: Vec<HostPort> = "";
    }

    /// Event ingest.
    ingest: Ingest {
        /// Maximum request size; above it 413.
        max_request: Size = "5 MiB";
        /// An event id that repeats within this time, in hours of service, is accepted but not delivered again.
        dedup_window: Duration = "24h";
        /// Handling of unknown event types: `accept` stores the events and lists their types in the response, so a
        /// newer PIM loses no events; `reject` rejects them and suggests the nearest known type.
        unknown_types: UnknownTypes = "accept";
        /// Validation of the `data` of known types: `off`, `warn` (accepted, counted and occasionally logged) or
        /// `reject`.
        schema_check: SchemaCheck = "warn";
        /// Additional event types that subscriptions may use.
        event_types: Vec<String> = "";
    }

    /// The Events API of Community and PaaS editions.
    events_api: EventsApi {
        /// Interval at which PIMs are queried for changes that they failed to send: they send each request once. Needs
        /// credentials for their REST API. A few minutes are reasonable, such as "15m". "0s": disabled.
        reconcile_every: Duration = "0s";
        /// Overlap of consecutive rounds, for clock differences and changes that were saved late.
        reconcile_overlap: Duration = "5m";
    }

    /// Checks of API clients' tokens.
    tokens: Tokens {
        /// How long a positive result is cached.
        yes_for: Duration = "60s";
        /// How long a negative result is cached.
        no_for: Duration = "5s";
        /// Maximum number of cached results; tokens are cached as hashes only.
        max_cached: Count = "10000";
        /// Maximum duration of a check; after it, the PIM counts as unreachable: 503.
        timeout: Duration = "2s";
        /// Interval at which PIMs are asked whether clients with registered credentials may still use the platform; a
        /// withdrawn permission suspends. "0s": disabled.
        recheck_every: Duration = "1h";
        /// Pause after each request of such a round, so that no PIM is flooded.
        recheck_pause: Duration = "1s";
    }

    /// Deliveries to destinations.
    delivery: Delivery {
        /// Minimum rate of a subscription, in deliveries per second, however often its destination answers 429.
        rate_lowest: PerSecond = "1";
        /// Maximum rate of a subscription, in deliveries per second.
        rate_highest: PerSecond = "100";
        /// Initial rate of a new or resumed subscription, in deliveries per second.
        rate_first: PerSecond = "10";
        /// Maximum deliveries per second from one PIM to one host (name and port), shared by all its HTTPS
        /// subscriptions, which take turns: 1 to 100,000.
        host_rate: HostRate = "400";
        /// Maximum number of attempts in flight per subscription.
        max_in_flight: Count = "64";
        /// Maximum number of connections to HTTPS destinations. Connections to Kafka brokers have a separate limit of
        /// the same size.
        max_connections: Count = "4096";
        /// Maximum number of open Kafka clients. Subscriptions with the same brokers, credentials and TLS settings
        /// share one.
        max_kafka_clients: Count = "1024";
        /// Maximum duration of an attempt, from its start to the end of the response.
        attempt_timeout: Duration = "5s";
        /// Delays before each retry, counted from the previous attempt; after the last one the event is dropped.
        retry_delays: Vec<Duration> = "5m,10m,20m";
        /// Minimum age of the oldest failure of the last hour before a low success rate suspends a subscription: 0s to
        /// 1h.
        suspend_after: Duration = "10m";
        /// A subscription is suspended when its topic or queue has accepted nothing for this time despite attempts:
        /// from 1h up to `storage.keep_events`. Downtime and problems of the platform itself don't count.
        topic_patience: Duration = "24h";
        /// Memory for the newest events, for subscriptions that keep up; others read from disk.
        hot_tail: Size = "64 MiB";
        /// Interval at which the progress of subscriptions is saved; a crash repeats at most the deliveries of this
        /// time.
        save_interval: Duration = "200ms";
    }

    /// Google Pub/Sub destinations. The platform publishes with Google's application default credentials; set
    /// PUBSUB_EMULATOR_HOST to use an emulator instead.
    pubsub: Pubsub {
        /// Endpoint, such as "https://europe-west1-pubsub.googleapis.com". Google keeps the events of an entity in
        /// order only if all of them are published in the same region. Empty: the global endpoint, which uses the
        /// nearest region.
        endpoint: Option<BaseUrl> = "";
        /// Maximum duration of a publish request.
        request_timeout: Duration = "10s";
    }

    /// Notifications of technical contacts.
    notifications: Notifications {
        /// If the platform suspends a subscription more often than this within 24 hours, its log entry and notification
        /// say that resuming does not help.
        frequent_suspensions: Count = "10";
        /// A failed notification is retried until the pauses between its attempts add up to this time. Downtime of the
        /// platform does not count.
        give_up_after: Duration = "3d";
        /// Whether email addresses of technical contacts must be confirmed. A new address gets one email with a link,
        /// and no others until it is confirmed. Webhooks are not affected.
        confirm_addresses: bool = "false";
    }

    /// SMTP server for notifications by email.
    smtp: Smtp {
        /// Name or address of the server. Empty: no email is sent; notifications by email wait and are eventually given
        /// up.
        host: Option<String> = "";
        /// Port of the server. 0: the default, 587 for `starttls`, 465 for `tls`, 25 for `none`.
        port: Port = "0";
        /// Connection security: `starttls`, `tls`, or `none` for a server on the same machine.
        security: SmtpSecurity = "starttls";
        /// User name, if the server requires a login.
        username: Option<String> = "";
        /// Password of that user.
        password: Option<Secret> = "";
        /// Sender of all emails, such as `Postrider <postrider@example.com>`. Required with `host`.
        from: Option<String> = "";
        /// Maximum duration of sending one email.
        timeout: Duration = "30s";
    }

    /// Retention and storage limits.
    storage: Storage {
        /// Undelivered events older than this, in hours of service, are dropped.
        keep_events: Duration = "30d";
        /// Delivered events stay readable and can be replayed for this time, in hours of service, rounded up to hours.
        /// "0s" keeps none.
        keep_delivered: Duration = "24h";
        /// Maximum size of delivered events of all PIMs that are kept, with the records about them. Above it, the PIM
        /// that uses most loses its oldest. They are also deleted when the disk is nearly full. 0 keeps none.
        keep_delivered_size: Size = "1 GiB";
        /// Retention of subscribers' log entries after their last occurrence, in hours of service.
        keep_logs: Duration = "30d";
        /// Maximum size of stored events; one PIM may use half of it. Above it, producers get 429 until there is space.
        max_log_size: Size = "50 GiB";
        /// Maximum size of the last known product states of one PIM's Events API bridge. Above it, new states are
        /// discarded: events are still delivered, but the next change of such a product or product model has no delta.
        max_product_states: Size = "10 GiB";
        /// Maximum size of one PIM's log entries, over all its clients; the oldest are deleted. Each client has at most
        /// 16 MiB of it.
        max_log_entries: Size = "256 MiB";
        /// Minimum free disk space; below it, producers get 429.
        min_free_disk: Size = "512 MiB";
    }

    /// Encryption of the secrets in the data folder.
    encryption: Encryption {
        /// Keys, each `<id>:<base64 of 32 bytes>`. The first one encrypts, all of them decrypt: to rotate, put a new
        /// key first. Empty: a key file `encryption.keys` in the data folder, generated at the first start and readable
        /// only by its owner.
        keys: Vec<Secret> = "";
        /// Allows a key file readable by its group (mode 640), as with Kubernetes' `fsGroup`. Others must never have
        /// access.
        group_may_read: bool = "false";
    }

    /// Prometheus metrics at `/metrics`.
    metrics: Metrics {
        /// Address and port of a separate listener for `/metrics` without authentication, such as "127.0.0.1:9464". Use
        /// it on loopback or private networks. Empty: no such listener.
        listen: Option<SocketAddr> = "";
        /// Key of at least 24 characters that enables `/metrics` on the API's address, sent as `Authorization: Bearer
        /// <key>`; the operator key also works. Empty: only the operator key works.
        key: Option<Secret> = "";
        /// Maximum number of subscriptions with their own series (oldest first), six series each. A metric counts the
        /// others. 0: none.
        per_subscription_at_most: Amount = "0";
    }

    /// OpenTelemetry traces of events, from acceptance to delivery.
    traces: Traces {
        /// Endpoint for spans by OTLP over HTTP, such as "http://127.0.0.1:4318"; `/v1/traces` is appended. Empty:
        /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`; without them, traces are disabled.
        endpoint: Option<BaseUrl> = "";
        /// Share of events that are recorded. If an event belongs to a trace of its producer, the producer's decision
        /// applies. Empty: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; without them, all events.
        sample: Option<Share> = "";
        /// `service.name` of the spans. Empty: `OTEL_SERVICE_NAME`, or else `postrider`.
        service_name: Option<String> = "";
        /// Sends the header `traceparent` to HTTPS endpoints with recorded events.
        propagate: bool = "true";
    }

    /// The platform's own logs, on standard error.
    log: Log {
        /// `human`, `json`, or `auto`: human-readable on a terminal, JSON otherwise.
        format: LogFormat = "auto";
        /// Log level: `error`, `warn`, `info`, `debug`, `trace`, or per module, as in `info,sinks=debug`.
        level: String = "info";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract pages 4, 6 and 7.
    #[test]
    fn defaults_follow_the_contract() {
        let shown =
            |key: &str| TABLE.iter().find(|setting| setting.key() == key).map(|setting| (setting.default_toml)());
        let check = |key: &str, toml: &str| assert_eq!(shown(key).as_deref(), Some(toml), "{key}");
        check("delivery.rate_lowest", "1");
        check("delivery.rate_first", "10");
        check("delivery.rate_highest", "100");
        check("delivery.host_rate", "400");
        check("delivery.retry_delays", r#"["5m", "10m", "20m"]"#);
        check("delivery.attempt_timeout", r#""5s""#);
        check("ingest.max_request", r#""5 MiB""#);
        check("ingest.dedup_window", r#""1d""#);
        check("ingest.schema_check", r#""warn""#);
        check("api.max_body", r#""256 KiB""#);
        check("tokens.yes_for", r#""1m""#);
        check("tokens.no_for", r#""5s""#);
        check("source", r#""akeneo-event-platform""#);
        check("allow_networks", "[]");
    }

    #[test]
    fn every_default_is_right_and_every_setting_is_documented() {
        for setting in TABLE {
            assert!(!(setting.default_toml)().is_empty(), "{} has a wrong default", setting.key());
            assert!(!setting.doc.is_empty(), "{} has no documentation", setting.key());
        }
    }

    #[test]
    fn names_are_derived_from_one_key() {
        let setting = TABLE.iter().find(|setting| setting.name == "rate_first").unwrap();
        assert_eq!(setting.key(), "delivery.rate_first");
        assert_eq!(setting.variable(), "POSTRIDER_DELIVERY_RATE_FIRST");
        assert_eq!(setting.flag(), "delivery-rate-first");
    }
}
