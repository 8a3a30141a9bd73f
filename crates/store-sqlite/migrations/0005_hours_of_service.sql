-- Ages are counted in hours of service, no longer by the wall clock: what is written carries the number of hours that
-- the platform had run by then. What was written before this migration counts from here.

-- `service_rest`: milliseconds of the hour that has begun.
INSERT INTO meta VALUES ('service_hour', 0), ('service_rest', 0);

-- `hour` never falls along `pos`, so it can be searched by halving. `latest` is not read any more; without it, the
-- whole log would have to be written anew.
ALTER TABLE frames ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;

-- Of the latest change, for those that have ended: of their end.
ALTER TABLE subscribers ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;

-- Of the latest occurrence.
ALTER TABLE entries ADD COLUMN hour INTEGER NOT NULL DEFAULT 0;
DROP INDEX entries_by_time;
CREATE INDEX entries_by_hour ON entries (hour);

-- Known ids have hours where they had seconds of the wall clock. Those within the blobs are taken for hour 0 when they
-- are read.
UPDATE dedup_recent SET newest = 0;
UPDATE dedup_runs SET newest = 0;
