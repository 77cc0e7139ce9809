"""Commands of Namecheap's API, and what its error numbers mean.

Every command is a GET with the key in its URL, and every answer has status 200: a refusal is known by `Status="ERROR"`.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from xml.etree import ElementTree

from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.credentials import Credential
from catalyst_sdk.registrar_http import Api, Pace, unknown

PROVIDER = "namecheap"
BASE = "https://api.namecheap.com/xml.response"
PAUSE = timedelta(seconds=5)
"""Where it asks for a pause and does not say how long."""
_REJECTED = {"1010100", "1010101", "1010102", "1011102", "1011500", "1017101"}
_ELSEWHERE = {"1011150", "1017105", "1017150"}
_STRANGE = {"2019166", "2019167", "2030280", "2016166"}
_NO_EDIT = "2030166"
_TIRED = "1017411"
OF_REGISTRY = "3031510"
"""What the registry behind Namecheap has counted as an error of its own; for a name server that it does not know too."""
_PASSING = {OF_REGISTRY, "3050900", "4022288"}
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")


class NamecheapApi:
    """Commands with one credential."""

    def __init__(self, api: Api, credential: Credential, base: str, pace: Pace) -> None:
        self._api = api
        self._credential = credential
        self._base = base or BASE
        self._pace = pace

    async def call(self, command: str, parameters: Mapping[str, str], *, writes: bool = False) -> ElementTree.Element:
        """The one element in the answer to a command, without its namespace."""
        c = self._credential
        self._pace.spend(c["user"], PROVIDER)
        query = {
            "Command": command,
            "ApiUser": c["user"],
            "ApiKey": c["key"],
            "UserName": c.get("userName", c["user"]),
            "ClientIp": c["ip"],
            **parameters,
        }  # fmt: skip - the command first, which is what a log of theirs shows
        reply = await self._api.call("GET", self._base, query=query.items(), writes=writes)
        whole = _parsed(reply.text)
        if whole is None or whole.tag != "ApiResponse":
            raise self._api.refused(reply)
        if whole.get("Status", "").upper() != "OK":
            raise self._refusal(whole, writes=writes)
        found = whole.find("CommandResponse")
        if found is None or not len(found):
            raise self._api.misunderstood("no element in its response")
        return found[0]

    def _refusal(self, whole: ElementTree.Element, *, writes: bool) -> PluginFailure:
        error = whole.find("Errors/Error")
        if error is None:
            return self._api.misunderstood("an error without a number")
        code, said = error.get("Number", ""), self._api.quoted(error.text or "")
        told = {"provider": PROVIDER, "provider_code": self._api.quoted(code, 80)}
        if code in _ELSEWHERE:
            return self._not_allowed(said, told)
        if code in _REJECTED:
            action = "switch API access on at Namecheap, and enter the user and the key that it shows"
            text = f"Namecheap does not take the key: {said}"
            return Permanent("CREDENTIALS_REJECTED", text, user_action=action, **told)
        if code in _STRANGE:
            action = "use the account that has the domain; the sandbox has domains of its own"
            text = f"the account has no such domain: {said}"
            return Permanent("DOMAIN_NOT_IN_ACCOUNT", text, user_action=action, **told)
        if code == _NO_EDIT:
            action = "ask the owner of the domain for the right to change it"
            return Permanent("PERMISSION_MISSING", f"Namecheap denies it: {said}", user_action=action, **told)
        if code == _TIRED or re.search(r"\brate\b|too many", said, re.IGNORECASE):
            pause = PAUSE if code != _TIRED else timedelta(minutes=5)
            return RateLimited(f"Namecheap asks for a pause: {said}", retry_after=pause, **told)
        if code in _PASSING:
            text = f"the registry behind Namecheap failed: {code} {said}"
            return (
                unknown(PROVIDER, text)
                if writes
                else Temporary(text, provider=PROVIDER, provider_code=told["provider_code"])
            )
        return self._api.misunderstood(f"error {code}: {said}", code=code)

    def _not_allowed(self, said: str, told: Mapping[str, str]) -> Permanent:
        # Its sentence names the address that it saw, which may be another than the one that we stated.
        seen = _ADDRESS.search(said)
        ip = seen[0] if seen else self._credential["ip"]
        action = f"add {ip} to the allowed addresses of the account's API access at Namecheap"
        text = f"Namecheap does not answer calls from {ip}: {said}"
        return Permanent("IP_NOT_ALLOWED", text, user_action=action, ip=ip, **told)


def _parsed(text: str) -> ElementTree.Element | None:
    """The document without namespaces; None where it is none."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None  # no answer of theirs has one, and an entity could make a short text endless
    try:
        whole = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError:
        return None
    for one in whole.iter():
        one.tag = one.tag.rpartition("}")[2]
    return whole
