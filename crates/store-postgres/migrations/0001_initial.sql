-- The first schema. A PIM's data carry its shard, `pim % 64`; nothing joins across shards. Text that orders pages is
-- compared by bytes, as everywhere in the platform.

-- What belongs to the platform as a whole: hours of service, number of changes of `pims`, the latest number of a PIM,
-- the secret of `ids`, a value sealed by the master key, and the partition into which appends write.
CREATE TABLE platform (
    one          boolean PRIMARY KEY DEFAULT TRUE CHECK (one),
    service_hour integer NOT NULL DEFAULT 0,
    service_rest bigint NOT NULL DEFAULT 0,
    pims_version bigint NOT NULL DEFAULT 0,
    last_pim     integer NOT NULL DEFAULT 0,
    part         integer NOT NULL DEFAULT 1,
    dedup_secret bytea NOT NULL,
    probe        bytea,
    -- The move by which the data came, and whether they have arrived: until then nobody serves.
    origin       uuid,
    arrived      boolean NOT NULL DEFAULT TRUE
) WITH (fillfactor = 10);

INSERT INTO platform (dedup_secret)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Three rows a shard, so that renewals, saves and appends never wait for each other. Locked in this order: `lease`,
-- `platform`, `head`, `progress`.
CREATE TABLE lease (
    shard smallint PRIMARY KEY,
    owner uuid,
    epoch bigint NOT NULL DEFAULT 0,
    beat  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 0);

-- `pos` is the position of the next event, `version` counts changes of the catalogue, `hour` is that of the last event.
CREATE TABLE head (
    shard   smallint PRIMARY KEY,
    pos     bigint NOT NULL DEFAULT 1,
    version bigint NOT NULL DEFAULT 0,
    hour    integer NOT NULL DEFAULT -1
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 0);

-- What the owner has done: its tenure, the mark, the version in effect, and the position before which no frame of the
-- shard is needed any more.
CREATE TABLE progress (
    shard   smallint PRIMARY KEY,
    owner   uuid,
    epoch   bigint NOT NULL DEFAULT 0,
    mark    bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    floors  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 0);

INSERT INTO lease (shard) SELECT generate_series(0, 63);
INSERT INTO head (shard) SELECT generate_series(0, 63);
INSERT INTO progress (shard) SELECT generate_series(0, 63);

-- Head of a shard's log at the first event of an hour of service.
CREATE TABLE hours (
    shard smallint NOT NULL,
    hour  integer NOT NULL,
    pos   bigint NOT NULL,
    PRIMARY KEY (shard, hour)
);

-- Partitions of `frames` and `ids`, and the hours of service in which they were written. Number 0 holds the frames that
-- outlive their partition; it is deleted by row. A table is gone once its flag is false.
CREATE TABLE part (
    number     integer PRIMARY KEY,
    opened     integer NOT NULL,
    closed     integer,
    closed_at  timestamptz,
    has_frames boolean NOT NULL DEFAULT TRUE,
    has_ids    boolean NOT NULL DEFAULT TRUE
);

INSERT INTO part (number, opened, closed, closed_at, has_ids) VALUES (0, 0, 0, now(), FALSE), (1, 0, NULL, NULL, TRUE);

-- A frame is a run of events of one PIM and one commit; `pos` is the position of the first. `keys` are hashes of what
-- its events are found by. There is no default partition: a row without its partition is a fault.
CREATE TABLE frames (
    part     integer NOT NULL,
    shard    smallint NOT NULL,
    pos      bigint NOT NULL,
    pim      integer NOT NULL,
    count    integer NOT NULL,
    hour     integer NOT NULL,
    earliest bigint NOT NULL,
    latest   bigint NOT NULL,
    bytes    integer NOT NULL,
    keys     integer[] NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (shard, pos, part)
) PARTITION BY LIST (part);

-- Bodies are JSON of tens of KB at most; compressing them costs more than it saves.
ALTER TABLE frames ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX frames_by_pim ON frames (pim, pos);

CREATE TABLE frames_0 PARTITION OF frames FOR VALUES IN (0);
CREATE TABLE frames_1 PARTITION OF frames FOR VALUES IN (1);

-- Known ids: 16 bytes of a keyed hash, and the hour of acceptance.
CREATE TABLE ids (
    part integer NOT NULL,
    key  uuid NOT NULL,
    hour integer NOT NULL,
    PRIMARY KEY (key, part)
) PARTITION BY LIST (part);

CREATE TABLE ids_1 PARTITION OF ids FOR VALUES IN (1);

-- The catalogue. `body` is JSON without what is secret; `sealed` is JSON with what is, sealed by a master key.
CREATE TABLE pims (
    id       integer PRIMARY KEY,
    name     text COLLATE "C" NOT NULL UNIQUE,
    url_key  text COLLATE "C" NOT NULL UNIQUE,
    revision bigint NOT NULL,
    keys     text[] NOT NULL,
    body     text NOT NULL,
    sealed   bytea NOT NULL
);

CREATE TABLE clients (
    pim       integer NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    revision  bigint NOT NULL,
    body      text NOT NULL,
    PRIMARY KEY (pim, client_id)
);

CREATE TABLE subscribers (
    id         uuid PRIMARY KEY,
    shard      smallint NOT NULL,
    pim        integer NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    created_at bigint NOT NULL,
    hour       integer NOT NULL,
    body       text NOT NULL,
    sealed     bytea NOT NULL
);

CREATE INDEX subscribers_by_owner ON subscribers (pim, client_id, status);
CREATE INDEX subscribers_by_client ON subscribers (client_id);
CREATE INDEX subscribers_by_end ON subscribers (shard, hour) WHERE status IN ('deleted', 'revoked');

CREATE TABLE subscriptions (
    id               uuid PRIMARY KEY,
    shard            smallint NOT NULL,
    subscriber_id    uuid NOT NULL,
    pim              integer NOT NULL,
    status           text COLLATE "C" NOT NULL,
    destination_type text COLLATE "C" NOT NULL,
    generation       integer NOT NULL,
    version          bigint NOT NULL,
    created_at       bigint NOT NULL,
    hour             integer NOT NULL,
    body             text NOT NULL,
    sealed           bytea NOT NULL
);

CREATE INDEX subscriptions_by_subscriber ON subscriptions (subscriber_id);
CREATE INDEX subscriptions_by_pim ON subscriptions (pim);
CREATE INDEX subscriptions_by_version ON subscriptions (shard, version);
CREATE INDEX subscriptions_by_status ON subscriptions (status);
CREATE INDEX subscriptions_by_end ON subscriptions (shard, hour) WHERE status IN ('deleted', 'revoked');

-- What owners are told. `timestamp` and `count` change when equal errors are merged; those in `body` are of the
-- first one.
CREATE TABLE entries (
    id              uuid PRIMARY KEY,
    shard           smallint NOT NULL,
    pim             integer NOT NULL,
    client_id       text COLLATE "C" NOT NULL,
    subscriber_id   uuid,
    subscription_id uuid,
    "timestamp"     bigint NOT NULL,
    count           bigint NOT NULL,
    operation       text COLLATE "C" NOT NULL,
    error_reason    text COLLATE "C",
    error_key       bytea,
    hour            integer NOT NULL,
    body            text NOT NULL
);

CREATE INDEX entries_by_owner ON entries (pim, client_id, id);
CREATE INDEX entries_by_pim ON entries (pim, id);
CREATE INDEX entries_by_hour ON entries (shard, hour);
CREATE INDEX entries_by_error ON entries (error_key, "timestamp") WHERE error_key IS NOT NULL;

-- How many entries an owner has, and how large those of an owner and of a PIM are.
CREATE TABLE entry_totals (
    pim       integer NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    count     bigint NOT NULL,
    bytes     bigint NOT NULL,
    PRIMARY KEY (pim, client_id)
) WITH (fillfactor = 50);

CREATE TABLE pim_entry_totals (
    pim   integer PRIMARY KEY,
    bytes bigint NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION entries_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_pim integer := coalesce(new.pim, old.pim);
    of_client text := coalesce(new.client_id, old.client_id);
    more bigint := coalesce(octet_length(new.body), 0) - coalesce(octet_length(old.body), 0);
    number bigint := CASE tg_op WHEN 'INSERT' THEN 1 WHEN 'DELETE' THEN -1 ELSE 0 END;
BEGIN
    INSERT INTO entry_totals AS t VALUES (of_pim, of_client, number, more)
    ON CONFLICT (pim, client_id) DO UPDATE SET count = t.count + number, bytes = t.bytes + more;
    INSERT INTO pim_entry_totals AS t VALUES (of_pim, more)
    ON CONFLICT (pim) DO UPDATE SET bytes = t.bytes + more;
    RETURN NULL;
END $$;

CREATE TRIGGER entries_counted AFTER INSERT OR DELETE OR UPDATE OF body ON entries
FOR EACH ROW EXECUTE FUNCTION entries_counted();

-- Notifications to be sent, and emails sent within the last hour.
CREATE TABLE notifications (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard      smallint NOT NULL,
    id         uuid NOT NULL UNIQUE,
    pim        integer NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    revision   bigint NOT NULL,
    due_at     bigint NOT NULL,
    created_at bigint NOT NULL,
    attempts   bigint NOT NULL,
    sent       boolean NOT NULL,
    body       text NOT NULL,
    sealed     bytea NOT NULL
);

CREATE INDEX notifications_by_shard ON notifications (shard, seq);
CREATE INDEX notifications_by_owner ON notifications (pim, client_id, seq);

-- The ledger. `pim` tells the shard without a look at the subscription.
CREATE TABLE lanes (
    subscription uuid PRIMARY KEY,
    shard        smallint NOT NULL,
    generation   integer NOT NULL,
    cursor       bigint,
    memory       bytea
) WITH (fillfactor = 50);

CREATE INDEX lanes_by_shard ON lanes (shard, subscription);

CREATE TABLE exceptions (
    subscription uuid NOT NULL,
    position     bigint NOT NULL,
    body         text NOT NULL,
    PRIMARY KEY (subscription, position)
);

-- The Events API bridge: the last known state of products (1) and product models (2), how much those of a PIM take, and
-- a note about each PIM's bridge. `revision` is the head of the log when the row was written: it never comes again.
CREATE TABLE snapshots (
    pim      integer NOT NULL,
    kind     smallint NOT NULL,
    key      text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    size     bigint NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (pim, kind, key)
);

CREATE TABLE snapshot_totals (
    pim   integer PRIMARY KEY,
    shard smallint NOT NULL,
    bytes bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE bridge_notes (
    pim      integer PRIMARY KEY,
    shard    smallint NOT NULL,
    note     text NOT NULL,
    revision bigint NOT NULL
);

-- Kept events. Frames before `floor` are kept, those from it on are backlog. Events before `kept_from` count as
-- deleted, records about events before `swept` were deleted. `bytes`: of kept frames and of all records. Every
-- PIM with events has a row.
CREATE TABLE keeping (
    pim       integer PRIMARY KEY,
    shard     smallint NOT NULL,
    floor     bigint NOT NULL DEFAULT 0,
    kept_from bigint NOT NULL DEFAULT 1,
    swept     bigint NOT NULL DEFAULT 1,
    bytes     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE INDEX keeping_by_shard ON keeping (shard);

-- Statuses and selections of subscriptions by position. The current one has no end, and its size doesn't count.
CREATE TABLE eras (
    subscription uuid NOT NULL,
    begins       bigint NOT NULL,
    ends         bigint,
    pim          integer NOT NULL,
    creation     boolean NOT NULL,
    size         bigint NOT NULL,
    body         text NOT NULL,
    PRIMARY KEY (subscription, begins)
);

CREATE INDEX eras_by_end ON eras (pim, ends) WHERE ends IS NOT NULL;

-- Events that were tried for the last time.
CREATE TABLE given_up (
    subscription uuid NOT NULL,
    position     bigint NOT NULL,
    pim          integer NOT NULL,
    body         text NOT NULL,
    PRIMARY KEY (subscription, position)
);

CREATE INDEX given_up_by_pim ON given_up (pim, position);

-- Dropped backlogs; `first` is the lowest position in it.
CREATE TABLE dropped (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription uuid NOT NULL,
    pim          integer NOT NULL,
    first        bigint NOT NULL,
    until        bigint NOT NULL,
    reason       text NOT NULL,
    uncertain    boolean NOT NULL,
    size         bigint NOT NULL,
    body         text NOT NULL
);

CREATE INDEX dropped_by_subscription ON dropped (subscription, until);
CREATE INDEX dropped_by_pim ON dropped (pim, until);

-- Events that were delivered after they had been dropped.
CREATE TABLE delivered_late (
    subscription uuid NOT NULL,
    position     bigint NOT NULL,
    pim          integer NOT NULL,
    PRIMARY KEY (subscription, position)
);

CREATE INDEX delivered_late_by_pim ON delivered_late (pim, position);

-- Outcomes of attempts in steps of five minutes.
CREATE TABLE outcome_counts (
    subscription uuid NOT NULL,
    begins       bigint NOT NULL,
    shard        smallint NOT NULL,
    hour         integer NOT NULL,
    delivered    bigint NOT NULL,
    failed       bigint NOT NULL,
    throttled    bigint NOT NULL,
    PRIMARY KEY (subscription, begins)
);

CREATE INDEX outcome_counts_by_hour ON outcome_counts (shard, hour);

-- `version` of the catalogue in which it was started or ended. The progress in `body` is that of its start.
CREATE TABLE replays (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           uuid NOT NULL UNIQUE,
    shard        smallint NOT NULL,
    subscription uuid NOT NULL,
    version      bigint NOT NULL,
    running      boolean NOT NULL,
    body         text NOT NULL,
    progress     text NOT NULL
);

CREATE INDEX replays_by_subscription ON replays (subscription, seq);
CREATE INDEX replays_by_version ON replays (shard, version);
CREATE UNIQUE INDEX running_replays ON replays (subscription) WHERE running;

CREATE FUNCTION subscription_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM eras WHERE subscription = old.id;
    DELETE FROM outcome_counts WHERE subscription = old.id;
    DELETE FROM replays WHERE subscription = old.id;
    RETURN NULL;
END $$;

CREATE TRIGGER subscription_forgotten AFTER DELETE ON subscriptions
FOR EACH ROW EXECUTE FUNCTION subscription_forgotten();

-- ASCII letters alone match case-insensitively, as on every backend.
CREATE FUNCTION has_text(name text, part text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT strpos(
        translate(name, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'),
        translate(part, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')
    ) > 0
$$;

-- An append: the only statement of its transaction, or the last but one of a change. It waits for the head of its
-- shard, and looks at conditions and known ids under that lock: positions have the order of the commits, without gaps,
-- and what a change of a registration or another append has committed is seen. If a condition does not hold, or an id
-- is known, it writes nothing and says which; otherwise it numbers and writes the frames.
CREATE FUNCTION append(
    of_shard   smallint,
    dedup      integer,
    pims_of    integer[],
    clients_of text[],
    revisions  bigint[],
    new_keys   uuid[],
    offsets    integer[],
    of_pims    integer[],
    counts     integer[],
    earliests  bigint[],
    latests    bigint[],
    hashes     text[],
    bodies     bytea[],
    OUT first bigint, OUT now_version bigint, OUT now_hour integer, OUT outdated integer[], OUT known integer[]
) LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- A plan without an index has a huge cost then, and would be compiled for 5 ms.
SET jit = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_bitmapscan = off
AS $$
DECLARE
    last_hour integer;
    into_part integer;
    since_part integer;
    total bigint;
BEGIN
    SELECT h.pos, h.version, h.hour INTO first, now_version, last_hour FROM head h WHERE h.shard = of_shard FOR UPDATE;
    SELECT p.service_hour, p.part INTO now_hour, into_part FROM platform p;
    IF cardinality(pims_of) > 0 THEN
        SELECT array_agg(c.n) INTO outdated
        FROM unnest(pims_of, clients_of, revisions) WITH ORDINALITY AS c (pim, client, revision, n)
        WHERE c.revision IS DISTINCT FROM CASE
            WHEN c.client IS NULL THEN (SELECT p.revision FROM pims p WHERE p.id = c.pim)
            ELSE coalesce((SELECT k.revision FROM clients k WHERE k.pim = c.pim AND k.client_id = c.client), 0)
        END;
        IF outdated IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    IF cardinality(new_keys) = 0 THEN
        RETURN;
    END IF;
    SELECT min(p.number) INTO since_part FROM part p
        WHERE p.has_ids AND coalesce(p.closed, now_hour) >= now_hour - dedup;
    SELECT array_agg(k.n) INTO known
    FROM unnest(new_keys) WITH ORDINALITY AS k (key, n)
    WHERE EXISTS (
        SELECT 1 FROM ids i WHERE i.key = k.key AND i.part >= since_part AND i.hour >= now_hour - dedup
    );
    IF known IS NOT NULL THEN
        RETURN;
    END IF;
    INSERT INTO ids (part, key, hour) SELECT into_part, k, now_hour FROM unnest(new_keys) AS k
    ON CONFLICT (key, part) DO UPDATE SET hour = excluded.hour;
    INSERT INTO frames (part, shard, pos, pim, count, hour, earliest, latest, bytes, keys, body)
    SELECT into_part, of_shard, first + f.at, f.pim, f.count, now_hour, f.earliest, f.latest, octet_length(f.body),
        f.hashes::integer[], f.body
    FROM unnest(offsets, of_pims, counts, earliests, latests, hashes, bodies)
        AS f (at, pim, count, earliest, latest, hashes, body);
    INSERT INTO keeping (pim, shard)
    SELECT DISTINCT p, of_shard FROM unnest(of_pims) AS p WHERE NOT EXISTS (SELECT 1 FROM keeping k WHERE k.pim = p)
    ON CONFLICT DO NOTHING;
    IF last_hour <> now_hour THEN
        INSERT INTO hours VALUES (of_shard, now_hour, first) ON CONFLICT DO NOTHING;
    END IF;
    SELECT sum(c) INTO total FROM unnest(counts) AS c;
    UPDATE head SET pos = first + total, hour = now_hour WHERE shard = of_shard;
END $$;

-- Renews all leases of an owner, and never waits long for one that is being taken over.
CREATE FUNCTION renew(of_owner uuid) RETURNS TABLE (renewed smallint, in_epoch bigint) LANGUAGE sql VOLATILE
SET lock_timeout = '1s'
AS $$
    UPDATE lease SET beat = beat + 1 WHERE owner = of_owner RETURNING shard, epoch
$$;
