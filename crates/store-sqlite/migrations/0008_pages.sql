-- Lists are read page by page: what they are filtered by stands in columns, what they are read by in indexes.

-- The destination itself is sealed. `NULL` until the first start after this migration, which fills it in.
ALTER TABLE subscriptions ADD COLUMN destination_type TEXT;

DROP INDEX subscribers_by_owner;
CREATE INDEX subscribers_by_owner ON subscribers (pim, client_id, status);
CREATE INDEX subscribers_by_client ON subscribers (client_id);
CREATE INDEX subscriptions_by_status ON subscriptions (status);

-- What ended, by when it did: the few rows that are to be forgotten one day.
CREATE INDEX subscribers_by_end ON subscribers (hour) WHERE status IN ('deleted', 'revoked');
CREATE INDEX subscriptions_by_end ON subscriptions (hour) WHERE status IN ('deleted', 'revoked');
