"""Changes the destination of a tenant's events while they flow, without losing any.

    python -m topology.move split PATH TENANT PIM_URL CLIENT_ID TOKEN EVENT
        moves one type of event from the subscription at PATH to an HTTPS subscription of its own
    python -m topology.move repoint PATH TENANT PIM_URL CLIENT_ID TOKEN DESTINATION
        points the subscription at PATH at another destination: pubsub, https or kafka
"""

import os
import sys

from app.inbox import Inbox
from app.platform_api import PlatformApi, PlatformError, Tenant
from topology.settings import HTTPS, destination


def split(api: PlatformApi, path: str, tenant: Tenant, event: str) -> None:
    shared = api.get(path)
    subscriptions, _ = path.rsplit("/", 1)
    # First create the new subscription, then shrink the old one: for a moment both deliver these events, and the inbox drops the second
    # copy. In reverse order, events accepted in between would be lost. Each call returns when it is in effect.
    # After a failure, start again: existing objects are reused.
    known = [one for one in api.get(subscriptions) if one["type"] == HTTPS and one["events"] == [event]]
    dedicated = known[0] if known else api.post(subscriptions, {"events": [event], **destination(HTTPS)})
    Inbox(os.environ["INBOX"]).route(dedicated["id"], tenant.name)
    api.patch(path, {"events": [kind for kind in shared["events"] if kind != event]})
    print(f"{subscriptions}/{dedicated['id']}")


def repoint(api: PlatformApi, path: str, _tenant: Tenant, kind: str) -> None:
    # One call: the subscription, its id and its position in the event stream stay. Events that were accepted but not yet delivered,
    # including retries, go to the new destination; attempts in flight end at the old one, so keep consuming there for a while.
    subscription = api.patch(path, destination(kind))
    print(f"{path} now goes to {subscription['type']}")


def main() -> None:
    if len(sys.argv) != 8 or sys.argv[1] not in ("split", "repoint"):
        sys.exit(__doc__)
    _, command, path, name, pim_url, client_id, token, what = sys.argv
    tenant = Tenant(name, pim_url, client_id, token)
    api = PlatformApi(os.environ["PLATFORM_URL"], tenant)
    {"split": split, "repoint": repoint}[command](api, path, tenant, what)


if __name__ == "__main__":
    try:
        main()
    except PlatformError as error:
        sys.exit(str(error))
