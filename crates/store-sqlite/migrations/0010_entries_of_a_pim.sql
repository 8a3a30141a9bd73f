-- The log entries of one PIM are bounded over all its clients, in bytes; the bound is a setting.

-- How large the entries of a PIM are; kept by the triggers below.
CREATE TABLE pim_entry_totals (
    pim   INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO pim_entry_totals SELECT pim, sum(bytes) FROM entry_totals GROUP BY pim;

CREATE TRIGGER pim_entries_added AFTER INSERT ON entries BEGIN
    INSERT INTO pim_entry_totals VALUES (new.pim, octet_length(new.body))
    ON CONFLICT DO UPDATE SET bytes = bytes + octet_length(new.body);
END;

CREATE TRIGGER pim_entries_merged AFTER UPDATE OF body ON entries BEGIN
    UPDATE pim_entry_totals SET bytes = bytes + octet_length(new.body) - octet_length(old.body) WHERE pim = new.pim;
END;

CREATE TRIGGER pim_entries_deleted AFTER DELETE ON entries BEGIN
    UPDATE pim_entry_totals SET bytes = bytes - octet_length(old.body) WHERE pim = old.pim;
    DELETE FROM pim_entry_totals WHERE pim = old.pim AND bytes = 0;
END;

-- The oldest entries of a PIM.
CREATE INDEX entries_by_pim ON entries (pim, id);
