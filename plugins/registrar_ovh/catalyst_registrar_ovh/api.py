"""Signed calls of OVH's API, and what its refusals mean."""

import hashlib
import json
import time
from typing import Any

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.credentials import Credential
from catalyst_sdk.registrar_http import Api, Reply

PROVIDER = "ovh"
BASES = {
    "eu": "https://eu.api.ovh.com/1.0",
    "ca": "https://ca.api.ovh.com/1.0",
    "us": "https://api.us.ovhcloud.com/1.0",
}
RULES = "GET|PUT|POST /domain/*"
"""What a consumer key needs."""
_STRANGE = {"INVALID_CREDENTIAL", "NOT_CREDENTIAL", "INVALID_KEY", "INVALID_SIGNATURE"}


class OvhApi:
    """Calls with one credential. Paths are as they stand in the URL, already encoded."""

    def __init__(self, api: Api, credential: Credential, base: str) -> None:
        self._api = api
        self._credential = credential
        self._base = base or BASES[credential["region"]]
        self._ahead: int | None = None

    async def get(self, path: str) -> Any:
        """What a path holds."""
        return await self._call("GET", path)

    async def call(self, method: str, path: str, body: object) -> Any:
        """The answer to a change."""
        return await self._call(method, path, body)

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        headers = self._signed(method, path, body, await self._now())
        reply = await self._api.call(method, self._base + path, headers=headers, body=body)
        found = reply.json()
        if reply.status == 200 and (found is not None or reply.text == "null"):
            return found
        raise self._refusal(reply)

    async def _now(self) -> int:
        """OVH's clock, by which it judges signatures; ours may be wrong."""
        if self._ahead is None:
            reply = await self._api.call("GET", f"{self._base}/auth/time")
            theirs = reply.json()
            if not isinstance(theirs, int):
                raise self._refusal(reply)
            self._ahead = theirs - int(time.time())
        return int(time.time()) + self._ahead

    def _signed(self, method: str, path: str, body: object, now: int) -> dict[str, str]:
        sent = "" if body is None else json.dumps(body, separators=(",", ":"))
        c = self._credential
        text = "+".join((c["appSecret"], c["consumerKey"], method, self._base + path, sent, str(now)))
        signature = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - the protocol is theirs
        return {
            "X-Ovh-Application": c["appKey"],
            "X-Ovh-Consumer": c["consumerKey"],
            "X-Ovh-Timestamp": str(now),
            "X-Ovh-Signature": f"$1${signature}",
        }  # fmt: skip - one line a header would hide the signature

    def _refusal(self, reply: Reply) -> Exception:
        found = reply.json()
        if not isinstance(found, dict) or "message" not in found:
            return self._api.refused(reply)
        said, code = self._api.quoted(found["message"]), str(found.get("errorCode") or found.get("class", ""))
        told = {"provider": PROVIDER, "provider_code": self._api.quoted(code or reply.status, 80)}
        if code in _STRANGE:
            action = "make a new consumer key for the application, and validate it"
            return Permanent("CREDENTIALS_REJECTED", f"OVH does not take the keys: {said}", user_action=action, **told)
        if code == "QUERY_TIME_OUT":
            return Temporary(f"OVH finds the request too old: {said}", provider=PROVIDER, provider_code=code)
        if reply.status == 403:
            action = f"make a consumer key with the rules {RULES}"
            return Permanent("PERMISSION_MISSING", f"OVH denies it: {said}", user_action=action, rule=RULES, **told)
        if reply.status == 404:
            action = "check which account has the domain, and the region of the credential"
            return Permanent(
                "DOMAIN_NOT_IN_ACCOUNT", f"the account has no such domain: {said}", user_action=action, **told
            )
        if reply.status == 409:
            action = "wait for the task that OVH works on, then make a new plan"
            return Permanent("CONFLICT", f"OVH is at work on the domain: {said}", user_action=action, **told)
        if reply.status == 400:
            action = "check the name servers and their addresses"
            return Permanent("NAMESERVER_REJECTED", f"OVH does not take the change: {said}", user_action=action, **told)
        return self._api.refused(reply, said, code)
