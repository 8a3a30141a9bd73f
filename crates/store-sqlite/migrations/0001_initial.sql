-- The first schema: event log, known ids, catalogue, ledger.

-- Single values: `version` of the catalogue, `head_floor` and `mark` of the log, `dedup_secret`.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('version', 0), ('head_floor', 1), ('mark', 0), ('dedup_secret', randomblob(32));

-- The event log. A frame is a run of events of one PIM; `pos` is the position of the first. `latest` is the largest time of
-- acceptance up to and with this frame: it never falls along `pos`, whatever the clock did, so it can be searched by halving.
CREATE TABLE frames (
    pos    INTEGER PRIMARY KEY,
    pim    INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    body   BLOB NOT NULL
) STRICT;

-- An index holds the primary key as well: this is (pim, pos).
CREATE INDEX frames_by_pim ON frames (pim);

-- Known ids, 20 bytes each: 16 of a keyed hash, 4 with the second of acceptance. The newest ones in the order of the
-- commits, a row a commit; older ones in sorted runs, cut into blocks of a page each.
CREATE TABLE dedup_recent (
    seq    INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL,
    keys   BLOB NOT NULL
) STRICT;

CREATE TABLE dedup_runs (
    run    INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL,
    fences BLOB NOT NULL,
    filter BLOB NOT NULL
) STRICT;

-- `id` is run × 2^20 + number of the block.
CREATE TABLE dedup_blocks (
    id   INTEGER PRIMARY KEY,
    keys BLOB NOT NULL
) STRICT;

-- The catalogue. `body` is JSON without what is secret; `sealed` is JSON with what is, sealed by a master key.
CREATE TABLE pims (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL UNIQUE,
    url_key TEXT NOT NULL UNIQUE,
    body    TEXT NOT NULL,
    sealed  BLOB NOT NULL
) STRICT;

CREATE TABLE clients (
    pim       INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (pim, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscribers (
    id         BLOB PRIMARY KEY,
    pim        INTEGER NOT NULL,
    client_id  TEXT NOT NULL,
    status     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body       TEXT NOT NULL,
    sealed     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX subscribers_by_owner ON subscribers (pim, client_id);

CREATE TABLE subscriptions (
    id            BLOB PRIMARY KEY,
    subscriber_id BLOB NOT NULL,
    pim           INTEGER NOT NULL,
    status        TEXT NOT NULL,
    generation    INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    body          TEXT NOT NULL,
    sealed        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX subscriptions_by_subscriber ON subscriptions (subscriber_id);
CREATE INDEX subscriptions_by_pim ON subscriptions (pim);
CREATE INDEX subscriptions_by_version ON subscriptions (version);

-- What owners are told. `timestamp` and `count` change when equal errors are merged; those in `body` are of the first one.
CREATE TABLE entries (
    id              BLOB PRIMARY KEY,
    pim             INTEGER NOT NULL,
    client_id       TEXT NOT NULL,
    subscriber_id   BLOB,
    subscription_id BLOB,
    timestamp       INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    operation       TEXT NOT NULL,
    error_reason    TEXT,
    error_key       BLOB,
    body            TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX entries_by_owner ON entries (pim, client_id, id);
CREATE INDEX entries_by_subscription ON entries (subscription_id, id);
CREATE INDEX entries_by_time ON entries (timestamp);
CREATE INDEX entries_by_error ON entries (error_key, timestamp) WHERE error_key IS NOT NULL;

CREATE TABLE notifications (
    seq  INTEGER PRIMARY KEY,
    id   BLOB NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

-- The ledger.
CREATE TABLE lanes (
    subscription BLOB PRIMARY KEY,
    generation   INTEGER NOT NULL,
    cursor       INTEGER,
    memory       BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE exceptions (
    subscription BLOB NOT NULL,
    position     INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;
