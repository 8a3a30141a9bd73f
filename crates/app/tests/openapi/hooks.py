"""What JSON Schema cannot say about the API's requests, for schemathesis.

Texts whose form has a name (`format`) get a generator each. What ties two places of a request together, and what belongs to the test's
own platform (its PIM's URL, its key pair, the limit of 20 subscribers), is put right before a request is sent. No check is weakened.
"""

import base64
import hashlib
import hmac
import os
import time

import requests
import schemathesis
from hypothesis import strategies as st

PIM_URL = os.environ["PIM_URL"]
EVENTS_API_SECRET = os.environ["EVENTS_API_SECRET"]
CERTIFICATE = os.environ["CERTIFICATE"]
PRIVATE_KEY = os.environ["PRIVATE_KEY"]
CLIENT = {"X-PIM-URL": PIM_URL, "X-PIM-TOKEN": "token", "X-PIM-CLIENT-ID": "app"}
OPERATOR = {"Authorization": "Bearer the-key-of-the-operator-0123"}

words = st.sampled_from(["erp", "name", "a b", 'say \\"hi\\"', "\\\\", "é", "fr_FR"])
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}\.example\.(com|org)", fullmatch=True)


@st.composite
def filters(draw):
    """The grammar of contract: at most 10 operators, 10 parentheses deep."""
    field = st.sampled_from(["user", "attribute", "scope", "channel", "locale"])
    equal = st.builds("{}=\"{}\"".format, field, words)
    author = st.sampled_from(["user", "api", "job", "system", "unknown-user-type"]).map('user_type="{}"'.format)
    among = st.builds(lambda name, values: "{} in [{}]".format(name, ", ".join(f'"{value}"' for value in values)), field, st.lists(words, min_size=1, max_size=3))
    one = st.one_of(equal, author, among)
    two = st.builds("{} {} {}".format, one, st.sampled_from(["and", "or"]), st.one_of(one, one.map("not {}".format), one.map("({})".format)))
    return draw(st.one_of(st.sampled_from(["", "  "]), one, two, two.map("not ({})".format)))


urls = st.builds(
    "https://{}{}{}".format,
    names,
    st.sampled_from(["", ":443", ":8443", ":65535"]),
    st.sampled_from(["", "/", "/a/../b", "/events?a=b%20c&d", "?x=1"]),
)


def position_cursor(position):
    """The position, and a check that binds it to its list: the events that client `app` of the first PIM sees."""
    position = position.to_bytes(8, "big")
    check = hashlib.sha256(b"events 1 app\0" + position).digest()[:8]
    return base64.urlsafe_b64encode(position + check).decode().rstrip("=")


cursors = st.sampled_from(["ZAGQxaAAAHAAgAAAAAAAAAE", "YQGQxaAAAHAAgAAAAAAAAAE"])

schemathesis.openapi.format("https-url", urls)
schemathesis.openapi.format("uri-reference", st.sampled_from(["pim", "https://pim.example.com", "/a?b#c", "urn:x:y", "%20"]))
schemathesis.openapi.format("event-filter", filters())
schemathesis.openapi.format("pim-url", st.sampled_from([PIM_URL, PIM_URL + "/", PIM_URL.upper().replace("HTTPS", "https"), PIM_URL + ":443"]))
schemathesis.openapi.format("pim-base-url", st.builds("{}://{}{}".format, st.sampled_from(["https", "http", "HTTPS"]), names, st.sampled_from(["", "/", ":8443", "/shop"])))
schemathesis.openapi.format("kafka-brokers", st.lists(st.builds("{}:{}".format, names, st.integers(1, 65535)), min_size=1, max_size=3).map(",".join))
schemathesis.openapi.format("server-name", names)
schemathesis.openapi.format("log-cursor", cursors)
# Of the list of kept events; others are left out below.
schemathesis.openapi.format("position-cursor", st.integers(1, 100).map(position_cursor))
# At most 64 characters before the `@` (RFC 5321), which the pattern beside it cannot say.
schemathesis.openapi.format("email", st.builds("{}@{}".format, st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,31}(\.[A-Z0-9]{1,32})?", fullmatch=True), names))
schemathesis.openapi.format("pem-certificates", st.just(CERTIFICATE))
schemathesis.openapi.format("pem-private-key", st.just(PRIVATE_KEY))


def is_positive(case):
    return case.meta is None or case.meta.generation.mode.is_positive


def distinct(headers):
    """Header names are the same whatever their case."""
    seen = {}
    for name, value in headers.items():
        seen.setdefault(name.lower(), (name, value))
    return dict(seen.values())


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    spare(operation, case)
    if is_positive(case):
        put_right(operation, case)
    else:
        put_wrong(case)
    if operation == "sendEventsApi":
        sign(case, kwargs)
    if operation in ("createSubscriber", "createSubscription", "addPim"):
        make_room(operation, case)


def spare(operation, case):
    """What the test itself needs is not removed by it: its PIMs with their keys, and the permission of its client."""
    if operation in ("removePim", "removeKey") and case.path_parameters.get("name") in ("test", "self-hosted"):
        case.path_parameters["name"] = "gone"
    if operation in ("setPermission", "admitClient") and case.path_parameters.get("client_id") == "app":
        case.path_parameters["client_id"] = "another-app"


def put_right(operation, case):
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("config"), dict) and isinstance(body["config"].get("headers"), dict):
        body["config"]["headers"] = distinct(body["config"]["headers"])
    if operation == "sendEvents" and case.media_type == "application/json":
        # Attributes that are needed in one of the media types only.
        case.headers.update({"ce-specversion": "1.0", "ce-id": "binary", "ce-source": "pim", "ce-type": "a.type", "ce-time": "2026-11-02T08:00:00Z"})
    if operation in ("setPermission", "admitClient"):
        # It may be left out where only one PIM is registered; here are several.
        if not isinstance(body, dict):
            case.body = body = {}
            case.media_type = "application/json"
        if body.get("pim") is None:
            body["pim"] = "test"
    if operation in ("updateSubscription", "updateSubscriber") and isinstance(body, dict):
        fit(operation, case)
    query = case.query
    if operation == "listLogs" and query:
        if "cursor" in query:
            # A cursor goes on where it was made: not with a page, and in its own order.
            query.pop("page", None)
            query.pop("order", None)
    if operation in ("listLogs", "listEvents") and query and query.get("start_time") and query.get("end_time"):
        query.pop("end_time")
    if operation == "listFailures" and query:
        # A cursor belongs to the list of one subscription.
        query.pop("cursor", None)
    if operation == "startReplay" and isinstance(body, dict):
        # What is kept, what time it is, and the highest rate are known at run time only.
        if body.get("from") is not None:
            for name in ("from", "to", "only"):
                body.pop(name, None)
            body["event_ids"] = ["of-a-time-span"]
        if body.get("rate") is not None:
            body["rate"] = min(body["rate"], 100)


def put_wrong(case):
    """An object in the query is sent as its keys: `{"6": null}` for `after` arrives as `after=6`, which is valid."""
    for name, value in list((case.query or {}).items()):
        if isinstance(value, dict) or (name in ("after", "page", "limit") and str(value).isdigit()):
            case.query[name] = "an object"


# What `config` of a type needs.
NEEDED = {"https": {"url", "secret"}, "pubsub": {"project_id", "topic_id"}, "kafka": {"broker", "topic", "sasl_auth"}}


def fit(operation, case):
    """A merge patch is valid, or not, together with what is stored: leaves out what does not fit that."""
    base = case.operation.schema.get_base_url().rstrip("/")
    path = "/api/v1/subscribers/{id}" if operation == "updateSubscriber" else "/api/v1/subscribers/{id}/subscriptions/{sid}"
    stored = requests.get(base + path.format(**case.path_parameters), headers=CLIENT, timeout=10)
    if stored.status_code != 200:
        return
    stored, body = stored.json(), case.body
    if operation == "updateSubscriber":
        contact = body.get("contact")
        if isinstance(contact, dict):
            # The secret is never shown, so nobody knows here whether a webhook could be chosen or its URL removed.
            for name in ("notification_channels", "notification_webhook_url"):
                contact.pop(name, None)
        return
    config = body.get("config")
    kind = body.get("type", stored["type"])
    if kind != stored["type"]:
        complete = isinstance(config, dict) and NEEDED[kind] <= config.keys()
        if not complete or "***redacted***" in str(config) or None in (config.get("headers") or {}).values():
            body.pop("type")
            body.pop("config", None)
    elif isinstance(config, dict):
        foreign = set().union(*(NEEDED[other] for other in NEEDED if other != kind)) | ({"tls"} if kind != "kafka" else set())
        # The header that is one too many, and the SCRAM variant without SCRAM, are so together with what is stored.
        for name in foreign | {"headers", "sasl_auth", "tls"}:
            config.pop(name, None)


def sign(case, kwargs):
    """As a PIM does: over the bytes that are sent. Requests that are to try a missing or wrong signature stay as they are."""
    header = "X-Akeneo-Request-Signature"
    containers = [case.headers, kwargs.get("headers") or {}]
    if not any(headers.get(header) == "to-be-signed" for headers in containers):
        return
    timestamp = str(int(time.time()))
    request = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    body = request.body or b""
    body = body if isinstance(body, bytes) else body.encode()
    signature = hmac.new(EVENTS_API_SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    for headers in containers:
        if header in headers:
            headers.update({"X-Akeneo-Request-Timestamp": timestamp, header: signature})


LIMIT = 15


def make_room(operation, case):
    """Ends the oldest of what was made, so that its limit of 20 is never what refuses a valid request."""
    base = case.operation.schema.get_base_url().rstrip("/")
    if operation == "createSubscriber":
        address, headers = f"{base}/api/v1/subscribers", CLIENT
    elif operation == "createSubscription":
        address, headers = f"{base}/api/v1/subscribers/{case.path_parameters.get('id')}/subscriptions", CLIENT
    else:
        return
    answer = requests.get(address, headers=headers, timeout=10)
    if answer.status_code != 200:
        return
    active = [one["id"] for one in answer.json() if one["status"] != "revoked"]
    for one in sorted(active)[: max(0, len(active) - LIMIT)]:
        requests.delete(f"{address}/{one}", headers=headers, timeout=10)
