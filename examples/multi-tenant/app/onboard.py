"""Connects the app to a tenant's PIM: a subscriber, a subscription into the shared topic, and the route back to the tenant.

Run it as often as you like: what is there already is left as it is.
"""

import argparse
import os
import sys

from app.inbox import Inbox
from app.platform_api import PlatformApi, PlatformError, Tenant

NAME = "multi-tenant app"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tenant", "pim_url", "client_id", "token"):
        parser.add_argument(name)
    parser.add_argument("events", nargs="+", help="event types; `com.akeneo.pim.v1.` is put before them")
    arguments = parser.parse_args()
    tenant = Tenant(arguments.tenant, arguments.pim_url, arguments.client_id, arguments.token)
    api = PlatformApi(os.environ["PLATFORM_URL"], tenant)
    inbox = Inbox(os.environ["INBOX"])
    subscription = onboard(api, [f"com.akeneo.pim.v1.{event}" for event in arguments.events])
    # An event may arrive before this line: the consumer does not acknowledge it, and Pub/Sub delivers it again.
    inbox.route(subscription["id"], tenant.name)
    print(f"/subscribers/{subscription['subscriber_id']}/subscriptions/{subscription['id']}")


def onboard(api: PlatformApi, events: list[str]) -> dict:
    contact = {
        "technical_email": os.environ["TECHNICAL_EMAIL"],
        "notification_channels": ["webhook"],
        "notification_webhook_url": os.environ["NOTIFICATION_URL"],
        "notification_webhook_secret": os.environ["NOTIFICATION_SECRET"],
    }
    known = [one for one in api.get("/subscribers") if one["name"] == NAME and one["status"] == "active"]
    subscriber = known[0] if known else api.post("/subscribers", {"name": NAME, "contact": contact})
    path = f"/subscribers/{subscriber['id']}/subscriptions"
    topic = {"project_id": os.environ["PUBSUB_PROJECT"], "topic_id": os.environ["PUBSUB_TOPIC"]}
    for subscription in api.get(path):
        if subscription["type"] == "pubsub" and subscription["status"] != "revoked":
            return subscription
    return api.post(path, {"type": "pubsub", "events": events, "config": topic})


if __name__ == "__main__":
    try:
        main()
    except PlatformError as error:
        sys.exit(str(error))
