"""`python -m unittest` beside `run` runs it."""

import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from app import inbox
from app.inbox import Inbox, Verdict


def event(event_id: str, subject: str = "subscription-a") -> dict:
    return {"id": event_id, "subject": subject, "type": "com.akeneo.pim.v1.product.updated", "data": {}}


class InboxTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "inbox.sqlite"
        self.inbox = Inbox(self.path)
        self.inbox.route("subscription-a", "tenant-a")
        self.inbox.route("subscription-b", "tenant-b")

    def handle(self, *arguments) -> Verdict:
        return self.inbox.handle(event(*arguments), via="test")

    def test_the_subject_says_whose_event_it_is(self) -> None:
        self.handle("1", "subscription-a")
        self.handle("2", "subscription-b")
        tenants = {event_id: tenant for tenant, event_id, _, _ in self.inbox.handled()}
        self.assertEqual(tenants, {"1": "tenant-a", "2": "tenant-b"})

    def test_an_event_is_handled_once_also_after_a_restart_and_by_two_subscriptions(self) -> None:
        self.inbox.route("another-of-a", "tenant-a")
        self.assertIs(self.handle("1"), Verdict.HANDLED)
        self.assertIs(self.handle("1"), Verdict.DUPLICATE)
        self.assertIs(self.handle("1", "another-of-a"), Verdict.DUPLICATE)
        self.assertIs(Inbox(self.path).handle(event("1"), via="test"), Verdict.DUPLICATE)

    def test_the_same_id_of_another_tenant_is_another_event(self) -> None:
        self.assertIs(self.handle("1", "subscription-a"), Verdict.HANDLED)
        self.assertIs(self.handle("1", "subscription-b"), Verdict.HANDLED)

    def test_the_same_id_of_another_producer_is_another_event(self) -> None:
        for source, verdict in [("/shop-a", Verdict.HANDLED), ("/shop-b", Verdict.HANDLED), ("/shop-a", Verdict.DUPLICATE)]:
            self.assertIs(self.inbox.handle(event("1") | {"producersource": source}, via="test"), verdict)
        self.assertIs(self.handle("1"), Verdict.HANDLED)

    def test_nothing_is_done_for_a_revoked_or_unknown_subscription(self) -> None:
        self.inbox.revoke("subscription-a")
        self.assertIs(self.handle("1"), Verdict.REVOKED)
        self.assertIs(self.handle("2", "subscription-c"), Verdict.UNKNOWN)
        self.assertEqual(list(self.inbox.handled()), [])

    def test_threads_and_processes_share_it(self) -> None:
        other = Inbox(self.path)
        with ThreadPoolExecutor(8) as pool:
            verdicts = list(pool.map(lambda n: (self.inbox, other)[n % 2].handle(event(str(n // 4)), "test"), range(200)))
        self.assertEqual(verdicts.count(Verdict.HANDLED), 50)

    def test_it_forgets_the_oldest_events(self) -> None:
        with mock.patch.object(inbox, "REMEMBERED", 10):
            for number in range(100):
                self.handle(str(number))
        self.assertEqual([event_id for _, event_id, _, _ in self.inbox.handled()], [str(n) for n in range(90, 100)])


if __name__ == "__main__":
    unittest.main()
