"""Prints the handled events, one JSON object per line."""

import json
import os

from app.inbox import Inbox

for tenant, event, kind, via in Inbox(os.environ["INBOX"]).handled():
    print(json.dumps({"tenant": tenant, "event": event, "type": kind, "via": via}))
