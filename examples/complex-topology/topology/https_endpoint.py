"""The app's HTTPS endpoint, for events outside the shared topic. A load balancer terminates TLS."""

import json
import logging
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.inbox import Inbox, Verdict
from app.notifications import is_signed

# An event has at most 1 MiB, plus a small envelope.
MAX_BODY = 2 * 1024 * 1024

# By Verdict. An unknown subscription is most likely being set up right now: 429 requests a retry soon.
ANSWERS = {Verdict.HANDLED: 204, Verdict.DUPLICATE: 204, Verdict.REVOKED: 204, Verdict.UNKNOWN: 429}


class Handler(BaseHTTPRequestHandler):
    inbox: Inbox
    secret: str
    # The platform reuses connections; idle ones are closed after this time.
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(int(length))
        signatures = (self.headers.get(f"X-AKENEO-SIGNATURE-{which}", "") for which in ("PRIMARY", "SECONDARY"))
        if not any([is_signed(body, signature, self.secret) for signature in signatures]):
            self.answer(401)
            return
        verdict = self.inbox.handle(json.loads(body), via="https")
        self.answer(ANSWERS[verdict])

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        """The inbox logs handled events."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    Handler.inbox = Inbox(os.environ["INBOX"])
    Handler.secret = os.environ["WEBHOOK_SECRET"]
    if not Handler.secret:
        raise SystemExit("WEBHOOK_SECRET is empty")  # Anyone can sign with an empty key.
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["ENDPOINT_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
