"""`PYTHONPATH=../multi-tenant python -m unittest` beside `run` runs it."""

import hashlib
import hmac
import http.client
import json
import threading
import unittest
from http.server import ThreadingHTTPServer

from app.inbox import Verdict
from topology.https_endpoint import Handler

SECRET = "a-secret"


class OneVerdict:
    """A stub of the inbox."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.events: list[dict] = []

    def handle(self, event: dict, via: str) -> Verdict:
        self.events.append(event)
        return self.verdict


class EndpointTest(unittest.TestCase):
    def post(self, inbox: OneVerdict, header: str = "PRIMARY", secret: str = SECRET, length: int | None = None) -> int:
        handler = type("ForTest", (Handler,), {"inbox": inbox, "secret": SECRET})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        body = json.dumps({"id": "1"}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        self.addCleanup(connection.close)
        headers = {f"X-AKENEO-SIGNATURE-{header}": signature, "Content-Length": str(length or len(body))}
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

    def test_either_signature_will_do(self) -> None:
        inbox = OneVerdict(Verdict.HANDLED)
        self.assertEqual(self.post(inbox, "PRIMARY"), 204)
        self.assertEqual(self.post(inbox, "SECONDARY"), 204)
        self.assertEqual(inbox.events, [{"id": "1"}] * 2)

    def test_what_the_platform_did_not_sign_is_not_looked_at(self) -> None:
        inbox = OneVerdict(Verdict.HANDLED)
        self.assertEqual(self.post(inbox, secret="a guess"), 401)
        self.assertEqual(self.post(inbox, "OTHER"), 401)
        self.assertEqual(self.post(inbox, length=10**9), 413)
        self.assertEqual(inbox.events, [])

    def test_an_event_that_cannot_be_routed_yet_is_wanted_again_soon(self) -> None:
        self.assertEqual(self.post(OneVerdict(Verdict.UNKNOWN)), 429)
        self.assertEqual(self.post(OneVerdict(Verdict.DUPLICATE)), 204)
        self.assertEqual(self.post(OneVerdict(Verdict.REVOKED)), 204)


if __name__ == "__main__":
    unittest.main()
