-- The backlog of each PIM as its shard's owner counted it, when it had seen the log up to `pos`. Other nodes add what
-- they have appended since.
CREATE TABLE backlog (
    pim   integer PRIMARY KEY,
    shard smallint NOT NULL,
    bytes bigint NOT NULL,
    pos   bigint NOT NULL
) WITH (fillfactor = 50);
