"""Receive Bursar's webhooks: verify the signature, remember each id, answer 204.

WEBHOOK_SECRET='at least thirty-two characters' python3 receiver.py 9000
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["WEBHOOK_SECRET"].encode()
AGE_MAX_S = 300
BODY_BYTES_MAX = 64 * 1024
seen = set()  # a real receiver stores the ids, in one transaction with what it does


def is_genuine(body, header):
    """Return whether ``header`` is a signature of ``body`` that was made in the last five minutes."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    moment = parts.get("t", "")
    if not (moment.isascii() and moment.isdigit()) or abs(time.time() - int(moment)) > AGE_MAX_S:
        return False
    expected = hmac.new(SECRET, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for an event that is stored, and 401 for a request that is not Bursar's."""

    def do_POST(self):  # the name that http.server looks for
        """Handle one delivery."""
        body = self.rfile.read(min(int(self.headers["Content-Length"]), BODY_BYTES_MAX))
        if not is_genuine(body, self.headers.get("Bursar-Signature", "")):
            self.send_error(401)
            return
        event = json.loads(body)
        if event["id"] not in seen:
            seen.add(event["id"])
            print(event["type"], event["transactionReferenceId"], event["toStatus"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_line):
        """Log nothing for each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
