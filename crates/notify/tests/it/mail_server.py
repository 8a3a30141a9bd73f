"""An SMTP server for tests: aiosmtpd, told by one JSON argument how to behave. Prints its port, then each email as a
line of JSON. Ends when its standard input does."""

import asyncio
import json
import os
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self):
        self.later = settings.get("later", 0)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        if self.later > 0:
            self.later -= 1
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "starttls": session.ssl is not None,
            "authenticated": bool(session.authenticated),
            "data": envelope.content.decode("utf-8", "replace"),
        })
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"postrider", b"mail-password")
    return AuthResult(success=good, handled=False)


def make(handler, context):
    options = {"hostname": "localhost", "enable_SMTPUTF8": True, "authenticator": authenticate}
    if settings["security"] == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if settings.get("auth"):
        options |= {"auth_required": True, "auth_require_tls": settings["security"] == "starttls"}
    return SMTP(handler, **options)


async def main():
    context = None
    if settings["security"] != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings["certificate"], settings["key"])
    wrapped = context if settings["security"] == "tls" else None
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(
        lambda: make(handler, context), "127.0.0.1", settings.get("port", 0), ssl=wrapped)
    say({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
asyncio.run(main())
