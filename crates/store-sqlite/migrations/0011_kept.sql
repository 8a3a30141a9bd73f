-- Events stay readable after their delivery, with what is needed to tell what became of them.

-- Events accepted before this migration are not kept: nothing is known of the subscriptions of that time.
-- `keys_until`: events before it have their keys in segments.
INSERT INTO meta
SELECT new.name, max(value, coalesce((SELECT pos + count FROM frames ORDER BY pos DESC LIMIT 1), 0))
FROM meta, (SELECT 'kept_since' AS name UNION ALL SELECT 'keys_until') AS new
WHERE meta.name = 'head_floor';

-- Frames before `floor` are kept, those from it on are backlog. Events before `kept_from` were deleted, or count as such;
-- records about events before `swept` were deleted. `bytes`: of kept frames, their keys, and all records.
CREATE TABLE keeping (
    pim       INTEGER PRIMARY KEY,
    floor     INTEGER NOT NULL,
    kept_from INTEGER NOT NULL,
    swept     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;

-- A PIM's events from `first` to before `until`, whose keys are in `segment_keys`, and the range of their times of
-- acceptance.
CREATE TABLE key_segments (
    pim      INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    events   INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL,
    PRIMARY KEY (pim, first)
) STRICT, WITHOUT ROWID;

-- A column of four bytes per event, so that a search reads no more than the one that it needs.
CREATE TABLE segment_keys (
    pim   INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    first INTEGER NOT NULL,
    body  BLOB NOT NULL,
    PRIMARY KEY (pim, kind, first)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER key_segments_deleted AFTER DELETE ON key_segments BEGIN
    DELETE FROM segment_keys WHERE pim = old.pim AND kind IN (0, 1, 2, 3) AND first = old.first;
END;

-- Statuses and selections of subscriptions by position. The current one has no end, and its size doesn't count.
CREATE TABLE eras (
    subscription BLOB NOT NULL,
    begins       INTEGER NOT NULL,
    ends         INTEGER,
    pim          INTEGER NOT NULL,
    creation     INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (subscription, begins)
) STRICT, WITHOUT ROWID;

CREATE INDEX eras_by_end ON eras (pim, ends) WHERE ends IS NOT NULL;

-- Events that were tried for the last time.
CREATE TABLE given_up (
    subscription BLOB NOT NULL,
    position     INTEGER NOT NULL,
    pim          INTEGER NOT NULL,
    body         TEXT NOT NULL,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX given_up_by_pim ON given_up (pim, position);

-- Dropped backlogs; `first` is the lowest position in it.
CREATE TABLE dropped (
    seq          INTEGER PRIMARY KEY,
    subscription BLOB NOT NULL,
    pim          INTEGER NOT NULL,
    first        INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    uncertain    INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    body         TEXT NOT NULL
) STRICT;

CREATE INDEX dropped_by_subscription ON dropped (subscription, until);
CREATE INDEX dropped_by_pim ON dropped (pim, until);

-- Events that were delivered after they had been dropped.
CREATE TABLE delivered_late (
    subscription BLOB NOT NULL,
    position     INTEGER NOT NULL,
    pim          INTEGER NOT NULL,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivered_late_by_pim ON delivered_late (pim, position);

-- Outcomes of attempts in steps of five minutes.
CREATE TABLE outcome_counts (
    subscription BLOB NOT NULL,
    begins       INTEGER NOT NULL,
    hour         INTEGER NOT NULL,
    delivered    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    throttled    INTEGER NOT NULL,
    PRIMARY KEY (subscription, begins)
) STRICT, WITHOUT ROWID;

CREATE INDEX outcome_counts_by_hour ON outcome_counts (hour);

-- `version` of the catalogue in which it was started or ended. The progress in `body` is that of its start.
CREATE TABLE replays (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    subscription BLOB NOT NULL,
    version      INTEGER NOT NULL,
    running      INTEGER NOT NULL,
    body         TEXT NOT NULL,
    progress     TEXT NOT NULL
) STRICT;

CREATE INDEX replays_by_subscription ON replays (subscription, seq);
CREATE INDEX replays_by_version ON replays (version);
CREATE UNIQUE INDEX running_replays ON replays (subscription) WHERE running;

-- Not fired when a row is replaced.
CREATE TRIGGER subscriptions_deleted AFTER DELETE ON subscriptions BEGIN
    DELETE FROM eras WHERE subscription = old.id;
    DELETE FROM outcome_counts WHERE subscription = old.id;
    DELETE FROM replays WHERE subscription = old.id;
END;
