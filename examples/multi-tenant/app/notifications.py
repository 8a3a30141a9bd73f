"""Receives the platform's notifications: when a tenant removes the app, its route is closed."""

import hashlib
import hmac
import json
import logging
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.inbox import Inbox

# A notification has less than 2 KiB.
MAX_BODY = 64 * 1024

log = logging.getLogger("notifications")


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


class Handler(BaseHTTPRequestHandler):
    inbox: Inbox
    secret: str
    # For idle peers.
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.answer(413)
            return
        body = self.rfile.read(int(length))
        if not is_signed(body, self.headers.get("X-AKENEO-SIGNATURE-PRIMARY", ""), self.secret):
            self.answer(401)
            return
        notification = json.loads(body)
        log.info("%s %s", notification["notification_type"], notification["subscription_id"])
        if notification["notification_type"] == "subscription.revoked":
            self.inbox.revoke(notification["subscription_id"])
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        """The notifications themselves are logged."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    Handler.inbox = Inbox(os.environ["INBOX"])
    Handler.secret = os.environ["NOTIFICATION_SECRET"]
    if not Handler.secret:
        raise SystemExit("NOTIFICATION_SECRET is empty")  # Anyone can sign with an empty key.
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["NOTIFICATION_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
