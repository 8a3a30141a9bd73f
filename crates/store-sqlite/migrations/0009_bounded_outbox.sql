-- The notifications of one PIM are bounded, by client: each row says whose it is. What is left of a subscriber that is
-- gone belongs to nobody, and nothing new comes to it.
ALTER TABLE notifications ADD COLUMN pim INTEGER;
ALTER TABLE notifications ADD COLUMN client_id TEXT;

UPDATE notifications SET (pim, client_id) = (
    SELECT pim, client_id FROM subscribers
    WHERE id = unhex(replace(json_extract(notifications.body, '$.notification.subscriber_id'), '-', ''))
);

-- An index holds the rowid as well: this is (pim, client_id, seq).
CREATE INDEX notifications_by_owner ON notifications (pim, client_id);

-- How much the product states of each PIM take; kept by the triggers below. 100 is what a row takes beside key and body.
CREATE TABLE snapshot_totals (
    pim   INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO snapshot_totals
SELECT pim, sum(100 + octet_length(key) + octet_length(body)) FROM snapshots GROUP BY pim;

CREATE TRIGGER snapshots_added AFTER INSERT ON snapshots BEGIN
    INSERT INTO snapshot_totals VALUES (new.pim, 100 + octet_length(new.key) + octet_length(new.body))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER snapshots_changed AFTER UPDATE OF body ON snapshots BEGIN
    UPDATE snapshot_totals SET bytes = bytes + octet_length(new.body) - octet_length(old.body) WHERE pim = new.pim;
END;

CREATE TRIGGER snapshots_deleted AFTER DELETE ON snapshots BEGIN
    UPDATE snapshot_totals SET bytes = bytes - 100 - octet_length(old.key) - octet_length(old.body) WHERE pim = old.pim;
    DELETE FROM snapshot_totals WHERE pim = old.pim AND bytes = 0;
END;
