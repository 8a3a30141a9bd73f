//! Step two, "ready to use": every setting once, with its text in the reference, its type and its default.
//!
//! The names in the file, the environment variables (`POSTRIDER_DELIVERY_RATE_FIRST`), the flags
//! (`--delivery-rate-first`), `--help`, `postrider config` and its reference all come from this table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::Secret;
use ipnet::IpNet;

use super::typed::Typed;
use super::value::{
    Amount, BaseUrl, Count, HostPort, HostRate, LogFormat, Nat64Prefix, PerSecond, Port, SchemaCheck, Share, Size,
    SmtpSecurity, UnknownTypes, Value, Wrong,
};

/// One row of the table.
pub(crate) struct Setting {
    /// The table of the file that it is in, or `top`.
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    /// Lines of its documentation.
    pub(super) doc: &'static [&'static str],
    /// As it would be typed into an environment variable.
    pub(super) default: &'static str,
    pub(super) expected: fn() -> String,
    /// Whether it is masked when it is shown; then a file may hold its value.
    pub(super) secret: bool,
    /// The default as TOML.
    pub(super) default_toml: fn() -> String,
}

impl Setting {
    /// Its full name in the file: `delivery.rate_first`.
    pub(crate) fn key(&self) -> String {
        if self.group == TOP { self.name.to_owned() } else { format!("{}.{}", self.group, self.name) }
    }

    /// Its environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("POSTRIDER_{}", self.key().replace('.', "_").to_uppercase())
    }

    /// Its flag, without the dashes before it.
    pub(crate) fn flag(&self) -> String {
        self.key().replace(['.', '_'], "-")
    }
}

/// The group of settings that stand before the first table of the file.
pub(super) const TOP: &str = "top";

/// Finds what was typed for a setting and takes note of what is wrong.
pub(super) trait Source {
    /// The value that counts for `setting`.
    fn typed(&self, setting: &Setting) -> Typed;
    /// What was typed is wrong.
    fn wrong(&mut self, setting: &Setting, wrong: Wrong);
}

macro_rules! settings {
    ($(
        $(#[doc = $group_doc:literal])*
        $group:ident: $Group:ident {
            $( $(#[doc = $doc:literal])* $name:ident: $ty:ty = $default:literal; )*
        }
    )*) => {
        $(
            $(#[doc = $group_doc])*
            #[derive(Clone, Debug)]
            pub(crate) struct $Group { $( $(#[doc = $doc])* pub(crate) $name: $ty, )* }
        )*

        /// All settings but the PIMs, checked one by one.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings { $( $(#[doc = $group_doc])* pub(crate) $group: $Group, )* }

        /// The groups with their documentation, in the order of the reference.
        pub(super) static GROUPS: &[(&str, &[&str])] = &[$((stringify!($group), &[$($group_doc),*])),*];

        /// The table.
        pub(crate) static TABLE: &[Setting] = &[$($(
            Setting {
                group: stringify!($group),
                name: stringify!($name),
                doc: &[$($doc),*],
                default: $default,
                expected: <$ty as Value>::expected,
                secret: <$ty as Value>::SECRET,
                default_toml: || {
                    <$ty as Value>::read(&Typed::bare($default, super::typed::Place::Default))
                        .map_or_else(String::new, |value| value.show())
                },
            },
        )*)*];

        impl Settings {
            /// Reads all settings; `None` if one is wrong, after all were looked at.
            pub(super) fn read(source: &mut dyn Source) -> Option<Settings> {
                let mut rows = TABLE.iter();
                $( $( let $name = read_one::<$ty>(source, rows.next()?); )* let $group = || Some($Group { $($name: $name?,)* }); let $group = $group(); )*
                Some(Settings { $($group: $group?,)* })
            }

            /// Every setting with its value as TOML, secrets masked, in the order of the table.
            pub(super) fn shown(&self) -> Vec<String> {
                vec![$($( self.$group.$name.show(), )*)*]
            }
        }
    };
}

fn read_one<T: Value>(source: &mut dyn Source, setting: &Setting) -> Option<T> {
    let typed = source.typed(setting);
    match T::read_or_point(&typed) {
        Ok(value) => Some(value),
        Err(wrong) => {
            source.wrong(setting, wrong);
            None
        }
    }
}

settings! {
    /// Who the platform is, where it keeps its data, and whom it may call.
    top: Top {
        /// Folder of the data: the log of events, the catalogue, and the key file that is made at the first start.
        /// Made when it is missing. Relative to the folder that the program is started in.
        data_dir: PathBuf = "data";
        /// Address and port that the API listens on. Port 0 takes any free port; the chosen one is printed.
        /// TLS is the business of a proxy in front: put one there before you listen on more than loopback.
        listen: SocketAddr = "127.0.0.1:8080";
        /// The URL under which clients and receivers reach the platform: the `dataschema` of events begins with it.
        /// Empty: `http://` and the address that it listens on.
        public_url: Option<BaseUrl> = "";
        /// The CloudEvents `source` of all delivered events. Some older receivers want `pim`.
        source: String = "akeneo-event-platform";
        /// Networks that destinations may be in although they are not public, such as `["10.1.0.0/16"]`. Without it
        /// every loopback, private, link-local or otherwise special address is refused.
        allow_networks: Vec<IpNet> = "";
        /// Prefixes of your own translators from IPv6 to IPv4 (NAT64), such as `["2001:db8:64::/96"]`, beside `64:ff9b::/96`. An
        /// address with such a prefix is judged by the IPv4 address in it, whatever `allow_networks` says.
        nat64_prefixes: Vec<Nat64Prefix> = "";
        /// Whether destinations and notification URLs may be `http://`: for development.
        allow_http_destinations: bool = "false";
        /// PEM files with further root certificates that destinations and PIMs may be signed by, beside the public
        /// ones.
        extra_roots: Vec<PathBuf> = "";
    }

    /// The API: management calls and the intake of events.
    api: Api {
        /// Requests a second that one client of one PIM may make to the management API; beyond it 429.
        rate: Count = "100";
        /// The largest body of a management request; beyond it 413.
        max_body: Size = "256 KiB";
        /// Connections that are open at the same time; further ones wait.
        max_connections: Count = "10000";
        /// The key of the operator's API under /api/v1/admin, at least 24 characters, sent as `Authorization: Bearer
        /// <key>`. Empty: that API is off.
        operator_key: Option<Secret> = "";
        /// A connection that sends no complete request header within this time, or nothing at all, is closed.
        header_timeout: Duration = "30s";
        /// A request whose body is not complete within this time is given up.
        body_timeout: Duration = "60s";
        /// Networks of reverse proxies: for a request from there the last address in `X-Forwarded-For` that is not in
        /// them shares memory, rates and token checks, not the proxy's. Never used for access.
        trusted_proxies: Vec<IpNet> = "127.0.0.0/8,::1/128";
        /// Memory for the bodies of all requests together, shared fairly by PIM; an eighth of it is for requests of the
        /// Events API whose signature is yet to be checked. A request that finds no room within 5 s is answered with
        /// 503. At least 16 MiB.
        body_memory: Size = "64 MiB";
    }

    /// The way out.
    egress: Egress {
        /// Hosts that answer whenever your own network works, such as `["example.com:443"]`. They are connected to only
        /// while no destination answers, to tell an outage of yours from one of theirs. Any kind of TCP server will do.
        check: Vec<HostPort> = "";
    }

    /// Events that come in.
    ingest: Ingest {
        /// The largest request; beyond it 413.
        max_request: Size = "5 MiB";
        /// The same id from the same PIM within this time, in hours of service, is accepted and not delivered twice.
        dedup_window: Duration = "24h";
        /// What happens to events of a type that is not known: `accept` stores them and names them in the answer, so
        /// that a newer PIM loses nothing; `reject` refuses them with the nearest known name.
        unknown_types: UnknownTypes = "accept";
        /// Whether `data` of known types is held against its description: `off`, `warn` (accepted, counted, and
        /// told now and then in the log) or `reject`.
        schema_check: SchemaCheck = "warn";
        /// Further event types that subscriptions may name.
        event_types: Vec<String> = "";
    }

    /// The Events API of Community and PaaS editions.
    events_api: EventsApi {
        /// How often PIMs are asked what was changed, to find what they failed to send: they send each request once.
        /// Needs credentials for their REST API. Some minutes are sensible, such as "15m". "0s": never.
        reconcile_every: Duration = "0s";
        /// How far each such round reaches back beyond the end of the one before, for clocks that differ and changes
        /// that took long to be saved.
        reconcile_overlap: Duration = "5m";
    }

    /// Checks of callers' tokens.
    tokens: Tokens {
        /// How long a PIM's "yes" to a token is believed without asking again.
        yes_for: Duration = "60s";
        /// How long a PIM's "no" to a token is believed without asking again.
        no_for: Duration = "5s";
        /// Answers that are remembered at most; tokens are remembered as hashes only.
        max_cached: Count = "10000";
        /// A check takes at most this long in all; a PIM that has not answered by then counts as not reachable: 503.
        timeout: Duration = "2s";
        /// How often PIMs are asked whether clients may still use the platform, where credentials for that are
        /// registered; a withdrawn permission suspends. "0s": never.
        recheck_every: Duration = "1h";
        /// The pause after each question of such a round, so that no PIM is flooded.
        recheck_pause: Duration = "1s";
    }

    /// Deliveries to destinations.
    delivery: Delivery {
        /// Deliveries a second that a subscription never falls below, however often its destination says "too fast".
        rate_lowest: PerSecond = "1";
        /// Deliveries a second that a subscription never exceeds.
        rate_highest: PerSecond = "100";
        /// Deliveries a second that a new or resumed subscription starts with.
        rate_first: PerSecond = "10";
        /// Deliveries a second from one PIM to one host (name and port), over all its HTTPS subscriptions: 1 to 100,000. At
        /// this rate the subscriptions take turns.
        host_rate: HostRate = "400";
        /// Attempts of one subscription that are under way at the same time.
        max_in_flight: Count = "64";
        /// Connections to all destinations together; those to Kafka brokers are counted for themselves.
        max_connections: Count = "4096";
        /// Kafka clients that are open at the same time. Subscriptions with the same brokers, credentials and TLS share
        /// one.
        max_kafka_clients: Count = "1024";
        /// An attempt takes at most this long, from its start to the end of the answer.
        attempt_timeout: Duration = "5s";
        /// When a failed attempt is made again, each counted from the attempt before; after the last one the event is
        /// dropped.
        retry_delays: Vec<Duration> = "5m,10m,20m";
        /// How old the oldest failure of the last hour must be before a low success rate suspends a subscription: 0s to 1h.
        suspend_after: Duration = "10m";
        /// How long a topic or queue may accept nothing, although it is tried, before its subscription is suspended: from 1h up to
        /// `storage.keep_events`. Time in which the platform was down, or lacked something itself, doesn't count.
        topic_patience: Duration = "24h";
        /// Newest events that are kept in memory for subscriptions that keep up; others read from the disk.
        hot_tail: Size = "64 MiB";
        /// How often the progress of subscriptions is saved; a crash repeats at most what was delivered in this time.
        save_interval: Duration = "200ms";
    }

    /// Google Pub/Sub destinations. The platform publishes with Google's application default credentials;
    /// PUBSUB_EMULATOR_HOST names an emulator instead.
    pubsub: Pubsub {
        /// The endpoint, such as "https://europe-west1-pubsub.googleapis.com". Google keeps the events of an entity in
        /// order only where all of them are published in the same region. Empty: the global endpoint, which takes the
        /// nearest region.
        endpoint: Option<BaseUrl> = "";
        /// A request to publish that is not answered within this time has failed.
        request_timeout: Duration = "10s";
    }

    /// What technical contacts are told.
    notifications: Notifications {
        /// A subscription that the platform suspends more often than this within 24 hours is told so, in its log and in
        /// the notification: resuming it does not help.
        frequent_suspensions: Count = "10";
        /// A notification that cannot be handed over is retried, and given up after this much time between its attempts.
        /// The platform's own downtime does not count.
        give_up_after: Duration = "3d";
    }

    /// The SMTP server for notifications by email.
    smtp: Smtp {
        /// Its name or address. Empty: no email is sent; notifications by email wait and are given up at last.
        host: Option<String> = "";
        /// Its port. 0: the usual one, 587 with `starttls`, 465 with `tls`, 25 with `none`.
        port: Port = "0";
        /// How the connection is secured: `starttls`, `tls`, or `none` for a server on the same machine.
        security: SmtpSecurity = "starttls";
        /// User name, where the server wants a login.
        username: Option<String> = "";
        /// Password of that user.
        password: Option<Secret> = "";
        /// The sender of all emails, such as `Postrider <postrider@example.com>`. Needed with `host`.
        from: Option<String> = "";
        /// From the connection to the server's last word about an email.
        timeout: Duration = "30s";
    }

    /// What is kept, and for how long.
    storage: Storage {
        /// Events older than this, in hours of service, are deleted even if a subscription has not got them yet.
        /// Delivered ones go at once.
        keep_events: Duration = "30d";
        /// Entries of the subscribers' logs are kept for this many hours of service after their last occurrence.
        keep_logs: Duration = "30d";
        /// Stored events may take up this much, those of one PIM half of it; beyond it producers get 429 until there is
        /// room.
        max_log_size: Size = "50 GiB";
        /// Disk space for the last known product states of one PIM's Events API bridge. Beyond it new states are not kept:
        /// events are delivered as before, but the next change of such a product or product model has no delta.
        max_product_states: Size = "10 GiB";
        /// With less free space on the disk producers get 429.
        min_free_disk: Size = "512 MiB";
    }

    /// Encryption of the secrets that the data folder holds.
    encryption: Encryption {
        /// Keys, `<id>:<base64 of 32 bytes>` each. The first one encrypts, all of them decrypt: to rotate, put a new
        /// one first. Empty: a key file `encryption.keys` in the data folder, made at the first start, readable by its
        /// owner only.
        keys: Vec<Secret> = "";
        /// Whether the group of the key file may read it as well (mode 640), as under Kubernetes' `fsGroup`. Others never may.
        group_may_read: bool = "false";
    }

    /// Metrics for Prometheus, at `/metrics`.
    metrics: Metrics {
        /// Address and port that serve `/metrics` and nothing else, without a key, such as "127.0.0.1:9464": for
        /// loopback and private networks. Empty: there is no such listener.
        listen: Option<SocketAddr> = "";
        /// A key of at least 24 characters. With it `/metrics` is served on the API's address as well, to
        /// `Authorization: Bearer <key>`; the operator's key opens it, too. Empty: only the operator's key does.
        key: Option<Secret> = "";
        /// So many subscriptions, the oldest, have series of their own; a metric says how many have none. Every one
        /// adds six series. 0: none has.
        per_subscription_at_most: Amount = "0";
    }

    /// OpenTelemetry traces of events, from their acceptance to their deliveries.
    traces: Traces {
        /// Where spans are sent by OTLP over HTTP, such as "http://127.0.0.1:4318"; `/v1/traces` is added. Empty: where
        /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` say, and without them nowhere.
        endpoint: Option<BaseUrl> = "";
        /// The share of events that are recorded. Of events that belong to the trace of their producer, the producer
        /// decides. Empty: what `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say, and without them all.
        sample: Option<Share> = "";
        /// `service.name` of the spans. Empty: what `OTEL_SERVICE_NAME` says, and without it `postrider`.
        service_name: Option<String> = "";
        /// Whether HTTPS endpoints get the header `traceparent` with events that are recorded.
        propagate: bool = "true";
    }

    /// The platform's own logs, on standard error.
    log: Log {
        /// `auto` writes for people on a terminal and JSON otherwise; or `human`, or `json`.
        format: LogFormat = "auto";
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or per module as in `info,sinks=debug`.
        level: String = "info";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract pages 4, 6 and 7.
    #[test]
    fn defaults_are_what_the_contract_says() {
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
