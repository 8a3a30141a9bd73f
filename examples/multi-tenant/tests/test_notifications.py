"""`python -m unittest` beside `run` runs it."""

import hashlib
import hmac
import http.client
import json
import threading
import unittest
from http.server import ThreadingHTTPServer

from app.notifications import Handler, is_signed

SECRET = "a-secret-of-sixteen"


class Revoked:
    """A stub of the inbox."""

    def __init__(self) -> None:
        self.subscriptions: list[str] = []

    def revoke(self, subscription: str) -> None:
        self.subscriptions.append(subscription)


class NotificationsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.inbox = Revoked()
        handler = type("ForTest", (Handler,), {"inbox": self.inbox, "secret": SECRET})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.port = server.server_port

    def post(self, kind: str, secret: str = SECRET, length: int | None = None) -> int:
        body = json.dumps({"notification_type": kind, "subscription_id": "1"}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.addCleanup(connection.close)
        headers = {"X-AKENEO-SIGNATURE-PRIMARY": signature, "Content-Length": str(length or len(body))}
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

    def test_a_revocation_closes_the_route(self) -> None:
        self.assertEqual(self.post("subscription.suspended.user"), 204)
        self.assertEqual(self.inbox.subscriptions, [])
        self.assertEqual(self.post("subscription.revoked"), 204)
        self.assertEqual(self.inbox.subscriptions, ["1"])

    def test_what_the_platform_did_not_sign_changes_nothing(self) -> None:
        self.assertEqual(self.post("subscription.revoked", secret="a-guess-of-somebody"), 401)
        self.assertEqual(self.post("subscription.revoked", length=10**9), 413)
        self.assertEqual(self.inbox.subscriptions, [])

    def test_known_answer(self) -> None:
        known = "e07da89f9169bfea31192fda579e9ad8b7d5fec7ea771dae231e23f3bf01d24a"
        self.assertTrue(is_signed(b'{"a":1}', known, "your_primary_secret"))
        self.assertFalse(is_signed(b'{"a":1}', "", "your_primary_secret"))
        self.assertFalse(is_signed(b'{"a":1}', "é", "your_primary_secret"))


if __name__ == "__main__":
    unittest.main()
