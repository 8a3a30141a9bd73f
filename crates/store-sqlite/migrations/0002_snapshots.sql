-- The Events API bridge: the last known state of products and product models, and a note about each PIM's bridge.

-- `kind`: 1 = product, 2 = product model. `revision` is the head of the log when the row was written: it never comes again.
-- Bodies are a few KB and keys come in any order, so the rows are apart from the index over the keys.
CREATE TABLE snapshots (
    id       INTEGER PRIMARY KEY,
    pim      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    key      TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body     BLOB NOT NULL,
    UNIQUE (pim, kind, key)
) STRICT;

CREATE TABLE bridge_notes (
    pim  INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;
