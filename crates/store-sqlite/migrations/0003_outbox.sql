-- Notifications know when they are due and where they go, so that they survive their subscriber. Nothing has ever sent
-- those of the first schema.
DROP TABLE notifications;

CREATE TABLE notifications (
    seq    INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE,
    due_at INTEGER NOT NULL,
    body   TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX notifications_by_due ON notifications (due_at);
