"""Calls of the platform's management API."""

from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

# Seconds to connect, and between two parts of a response.
TIMEOUT = (3, 10)

# 429: too many calls; 503: the token could not be checked with the PIM. Neither has changed anything.
RETRY = Retry(total=4, backoff_factor=0.2, status_forcelist=(429, 503), allowed_methods=None, raise_on_status=False)


@dataclass(frozen=True)
class Tenant:
    """A PIM that the app is connected to. The client id is the app's name there, the token was issued by that PIM."""

    name: str
    pim_url: str
    client_id: str
    token: str


class PlatformError(Exception):
    """The platform rejected a call; the message lists all faults."""

    def __init__(self, response: requests.Response):
        try:
            faults = [fault["message"] for fault in response.json()["errors"]]
        except (ValueError, KeyError):
            faults = [response.text[:500]]
        request = response.request
        super().__init__(f"{request.method} {request.url}: {response.status_code}: " + "; ".join(faults))
        self.status = response.status_code


class PlatformApi:
    """The API for one tenant's app, without access to other tenants."""

    def __init__(self, platform_url: str, tenant: Tenant):
        self._base = f"{platform_url}/api/v1"
        self._session = requests.Session()
        self._session.mount(platform_url, HTTPAdapter(max_retries=RETRY))
        self._session.headers.update(
            {
                "X-PIM-URL": tenant.pim_url,
                "X-PIM-TOKEN": tenant.token,
                "X-PIM-CLIENT-ID": tenant.client_id,
            }
        )

    def get(self, path: str):
        return self._call("GET", path)

    def post(self, path: str, body: dict | None = None):
        return self._call("POST", path, body)

    def patch(self, path: str, body: dict):
        return self._call("PATCH", path, body)

    def _call(self, method: str, path: str, body: dict | None = None):
        response = self._session.request(method, self._base + path, json=body, timeout=TIMEOUT, allow_redirects=False)
        if not response.ok:
            raise PlatformError(response)
        return response.json()
