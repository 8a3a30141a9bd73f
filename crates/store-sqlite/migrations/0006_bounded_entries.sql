-- The log entries of one owner are bounded, and found by one index over all that a query can ask for.

DELETE FROM entries WHERE id IN (
    SELECT id FROM (
        SELECT id,
               row_number() OVER newest AS place,
               sum(octet_length(body)) OVER newest AS bytes
        FROM entries
        WINDOW newest AS (PARTITION BY pim, client_id ORDER BY id DESC ROWS UNBOUNDED PRECEDING)
    )
    WHERE place > 10000 OR bytes > 16777216
);

-- How many entries an owner has, and how large they are; kept by the triggers below.
CREATE TABLE entry_totals (
    pim       INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    count     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    PRIMARY KEY (pim, client_id)
) STRICT, WITHOUT ROWID;

INSERT INTO entry_totals
SELECT pim, client_id, count(*), sum(octet_length(body)) FROM entries GROUP BY pim, client_id;

CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN
    INSERT INTO entry_totals VALUES (new.pim, new.client_id, 1, octet_length(new.body))
    ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + octet_length(new.body);
END;

CREATE TRIGGER entries_merged AFTER UPDATE OF body ON entries BEGIN
    UPDATE entry_totals SET bytes = bytes + octet_length(new.body) - octet_length(old.body)
    WHERE pim = new.pim AND client_id = new.client_id;
END;

CREATE TRIGGER entries_deleted AFTER DELETE ON entries BEGIN
    UPDATE entry_totals SET count = count - 1, bytes = bytes - octet_length(old.body)
    WHERE pim = old.pim AND client_id = old.client_id;
    DELETE FROM entry_totals WHERE pim = old.pim AND client_id = old.client_id AND count = 0;
END;

-- A query reads at most the 10,000 short rows of its owner here, and of the table only what it gives.
DROP INDEX entries_by_owner;
DROP INDEX entries_by_subscription;
CREATE INDEX entries_by_owner ON entries
    (pim, client_id, id, subscriber_id, subscription_id, timestamp, operation, error_reason, error_key);
