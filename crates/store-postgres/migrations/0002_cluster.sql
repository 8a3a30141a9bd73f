-- Serving processes. A row whose beat doesn't move is that of a process that was killed or hangs; `seen` only decides
-- when it is deleted.
CREATE TABLE node (
    id      uuid PRIMARY KEY,
    beat    bigint NOT NULL DEFAULT 0,
    seen    timestamptz NOT NULL DEFAULT now(),
    address text,
    version text NOT NULL,
    reads   integer NOT NULL,
    fit     boolean NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 0);

-- Renews all leases of an owner and its own row, and never waits long for a lease that is being taken over. The owner
-- of the first shard deletes the rows of processes that are long gone.
CREATE OR REPLACE FUNCTION renew(of_owner uuid) RETURNS TABLE (renewed smallint, in_epoch bigint)
LANGUAGE sql VOLATILE
SET lock_timeout = '1s'
AS $$
    DELETE FROM node WHERE seen < now() - interval '1 hour' AND id <> of_owner
        AND EXISTS (SELECT 1 FROM lease WHERE shard = 0 AND owner = of_owner);
    UPDATE node SET beat = beat + 1, seen = now() WHERE id = of_owner;
    UPDATE lease SET beat = beat + 1 WHERE owner = of_owner RETURNING shard, epoch;
$$;

-- Takes a shard over if its lease is as it was seen; otherwise no epoch. The new owner may have renewed a lease of its
-- own meanwhile.
CREATE FUNCTION take_if(
    of_shard   smallint,
    of_owner   uuid,
    seen_owner uuid,
    seen_epoch bigint,
    seen_beat  bigint,
    OUT in_epoch bigint
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE lease SET owner = of_owner, epoch = epoch + 1, beat = beat + 1
    WHERE shard = of_shard AND owner IS NOT DISTINCT FROM seen_owner AND epoch = seen_epoch
        AND (beat = seen_beat OR seen_owner = of_owner)
    RETURNING epoch INTO in_epoch;
    IF in_epoch IS NOT NULL THEN
        UPDATE progress SET owner = of_owner, epoch = in_epoch WHERE shard = of_shard;
    END IF;
END $$;

-- Gives a shard back, and fences its owner.
CREATE FUNCTION give(of_shard smallint, of_owner uuid, of_epoch bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE lease SET owner = NULL WHERE shard = of_shard AND owner = of_owner AND epoch = of_epoch;
    UPDATE progress SET owner = NULL WHERE shard = of_shard AND owner = of_owner AND epoch = of_epoch;
$$;

-- Gives all shards of a process back, and deletes its row.
CREATE FUNCTION leave(of_owner uuid) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE lease SET owner = NULL WHERE owner = of_owner;
    UPDATE progress SET owner = NULL WHERE owner = of_owner;
    DELETE FROM node WHERE id = of_owner;
$$;
