"""An endpoint that notes which event arrived when, and answers 200."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        line = json.dumps({"event": event["id"], "at": time.time()}) + "\n"
        # In one piece, because requests are received side by side.
        os.write(sys.stdout.fileno(), line.encode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """The line above is enough."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", int(os.environ["RECEIVER_PORT"])), Receiver) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(0)
