"""Changes where a tenant's events go, while they flow, without losing any.

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
    # First the new way, then the end of the old one: for a moment events of this type take both, and the inbox drops the second
    # copy. The other way round, events accepted in between would take neither. Each call is answered when it is in effect.
    # After a failure halfway, start again: what is there already is taken.
    known = [one for one in api.get(subscriptions) if one["type"] == HTTPS and one["events"] == [event]]
    dedicated = known[0] if known else api.post(subscriptions, {"events": [event], **destination(HTTPS)})
    Inbox(os.environ["INBOX"]).route(dedicated["id"], tenant.name)
    api.patch(path, {"events": [kind for kind in shared["events"] if kind != event]})
    print(f"{subscriptions}/{dedicated['id']}")


def repoint(api: PlatformApi, path: str, _tenant: Tenant, kind: str) -> None:
    # One call: the subscription, its id and its place in the stream of events stay. What was accepted before and is still on
    # its way, retries included, goes to the new destination; attempts under way end at the old one, so keep reading there for a while.
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
