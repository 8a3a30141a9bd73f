"""The app's state in one SQLite file: routes, handled events, and results."""

import json
import logging
import sqlite3
import threading
from enum import Enum
from pathlib import Path

# Number of remembered ids. It should cover all events of the period in which duplicates can occur: hours.
REMEMBERED = 100_000

log = logging.getLogger("inbox")

SCHEMA = """
CREATE TABLE IF NOT EXISTS subscriptions (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, via TEXT NOT NULL,
    UNIQUE (tenant, id)
);
"""


class Verdict(Enum):
    """Result of an event."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class Inbox:
    """Threads and processes may share the file; writers wait for each other."""

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(SCHEMA)

    def route(self, subscription_id: str, tenant: str) -> None:
        """Routes events with this subscription as subject to the tenant."""
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO subscriptions (id, tenant) VALUES (?, ?)", (subscription_id, tenant))

    def revoke(self, subscription_id: str) -> None:
        """The tenant has removed the app: later events must not be read."""
        with self._transaction() as database:
            database.execute("UPDATE subscriptions SET revoked = 1 WHERE id = ?", (subscription_id,))

    def handle(self, event: dict, via: str) -> Verdict:
        """Processes an event exactly once, however often and by whichever route it arrives."""
        verdict = self._handle(event, via)
        log.info("%s by %s: %s %s of %s", verdict.value, via, event["type"], event["id"], event["subject"])
        return verdict

    def _handle(self, event: dict, via: str) -> Verdict:
        with self._transaction() as database:
            found = database.execute(
                "SELECT tenant, revoked FROM subscriptions WHERE id = ?", (event["subject"],)
            ).fetchone()
            if found is None:
                return Verdict.UNKNOWN
            tenant, revoked = found
            if revoked:
                return Verdict.REVOKED
            # The id is stored in the same transaction as the result: both or neither, even in a crash.
            inserted = database.execute(
                "INSERT OR IGNORE INTO events (tenant, id, type, via) VALUES (?, ?, ?, ?)",
                (tenant, identity(event), event["type"], via),
            )
            if inserted.rowcount == 0:
                return Verdict.DUPLICATE
            self._forget(database, inserted.lastrowid)
            return Verdict.HANDLED

    def handled(self):
        """(tenant, event id, type, via) of all events that are remembered, in the order in which they were handled."""
        return self._database.execute("SELECT tenant, id, type, via FROM events ORDER BY number")

    def subscriptions(self):
        """(subscription id, tenant, whether it is revoked)."""
        return self._database.execute("SELECT id, tenant, revoked FROM subscriptions ORDER BY id")

    def _forget(self, database: sqlite3.Connection, newest: int) -> None:
        database.execute("DELETE FROM events WHERE number <= ?", (newest - REMEMBERED,))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._lock, self._database)


def identity(event: dict) -> str:
    """Identity of an event: two producers may use the same id, and only producers other than the PIM are named."""
    source = event.get("producersource")
    return event["id"] if source is None else json.dumps([event["id"], source])


class _Transaction:
    def __init__(self, lock: threading.Lock, database: sqlite3.Connection):
        self._lock, self._database = lock, database

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        return self._database

    def __exit__(self, kind, *_) -> None:
        try:
            self._database.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()
