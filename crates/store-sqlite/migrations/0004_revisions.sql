-- No change is lost to another one made at the same time: notes have revisions, as PIMs, clients and notifications have
-- in their bodies.
ALTER TABLE bridge_notes ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- Counts the changes of `pims`.
INSERT INTO meta VALUES ('pims_version', 0);
