# A receiver that verifies signatures: SECRET=… python3 receiver.py
import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("SECRET", "").encode()
if not SECRET:
    raise SystemExit("SECRET is not set")  # Anyone can sign with an empty key.
TOLERANCE = int(os.environ.get("TOLERANCE", 0))  # seconds; 0: accept replays
LARGEST = 2 << 20  # an event has at most 1 MiB


def same(sent, expected):
    """Constant-time comparison."""
    return hmac.compare_digest((sent or "").encode("latin-1"), expected.encode())


def is_genuine(headers, body):
    """One of the two signatures must match our secret; `body` holds the raw bytes."""
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    names = ("X-AKENEO-SIGNATURE-PRIMARY", "X-AKENEO-SIGNATURE-SECONDARY")
    return any(same(headers.get(name), expected) for name in names)


def is_fresh(headers, body):
    """Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected."""
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{event_id}.{timestamp}.".encode("latin-1") + body
    expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    return any(same(signature, expected) for signature in headers.get("webhook-signature", "").split(" "))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST:
            return self.answer(413)
        body = self.rfile.read(length)
        if not is_genuine(self.headers, body) or (TOLERANCE and not is_fresh(self.headers, body)):
            return self.answer(401)
        event = json.loads(body)  # Only now. Queue it, answer, and process it afterwards.
        print(event.get("type"), event.get("id"), flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 4000))), Receiver).serve_forever()
