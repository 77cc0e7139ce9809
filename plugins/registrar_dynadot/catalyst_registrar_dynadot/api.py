"""Commands of Dynadot's API, and what its sentences mean.

Every command is a GET with the key in its URL, every answer has status 200, and errors have sentences instead of codes. The
parts of an answer nest now one way, now another; a code is a number here and a text there. An account is served one request
at a time.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.credentials import Credential
from catalyst_sdk.registrar_http import Api, Reply, unknown

PROVIDER = "dynadot"
BASE = "https://api.dynadot.com/api3.json"
_PAUSE = timedelta(seconds=30)
_STRANGE = ("not found", "could not find", "not in your account", "not own")
_REJECTED = ("invalid api", "invalid key", "invalid secret", "invalid auth")
_NO_HOST = ("needs to be registered with an ip address",)
_LOCKED = ("unlock your domain", "domain is locked", "locked domain")
_BUSY = ("system_busy", "system busy", "try again")
_RATE = ("too many", "rate limit", "only one request", "exceed")


class DynadotApi:
    """Commands with one credential. `turn` belongs to the account."""

    def __init__(self, api: Api, credential: Credential, base: str, turn: asyncio.Lock) -> None:
        self._api = api
        self._credential = credential
        self._base = base or BASE
        self._turn = turn

    async def call(self, command: str, *, writes: bool = False, **parameters: str) -> dict[str, Any]:
        """The whole answer to a command that went well."""
        c = self._credential
        secret = {"secret": c["secret"]} if c.get("secret") else {}
        query = {"command": command, "key": c["key"], **secret, **parameters}
        async with self._turn:
            reply = await self._api.call("GET", self._base, query=query.items(), writes=writes)
        found = reply.json()
        parts = list(dicts(found))
        codes = [str(part[name]) for part in parts for name in ("ResponseCode", "SuccessCode") if name in part]
        said = next((str(part["Error"]) for part in parts if part.get("Error")), "")
        status = next((str(part["Status"]) for part in parts if isinstance(part.get("Status"), str)), "")
        if reply.status == 200 and codes and codes[0] == "0" and not said:
            return dict(found)
        raise self._refusal(reply, codes, said or status, writes=writes)

    def _refusal(self, reply: Reply, codes: list[str], sentence: str, *, writes: bool) -> PluginFailure:
        if reply.status != 200 or not codes:
            return self._api.refused(reply)
        said, low = self._api.quoted(sentence), sentence.lower()
        told = {"provider": PROVIDER, "provider_code": self._api.quoted(codes[0], 80)}
        if _has(low, _RATE):
            return RateLimited(f"Dynadot asks for a pause: {said}", retry_after=_PAUSE, **told)
        if _has(low, _REJECTED):
            action = "enter the API key that Dynadot shows, and allow our address if the account has a list of them"
            text = f"Dynadot does not take the key: {said}"
            return Permanent("CREDENTIALS_REJECTED", text, user_action=action, **told)
        if _has(low, _NO_HOST):
            action = "register the name server with its address at Dynadot, or name servers that exist"
            text = f"Dynadot does not know the name server: {said}"
            return Permanent("NAMESERVER_REJECTED", text, user_action=action, **told)
        if _has(low, _STRANGE):
            action = "use the account that has the domain"
            text = f"the account has no such domain: {said}"
            return Permanent("DOMAIN_NOT_IN_ACCOUNT", text, user_action=action, **told)
        if _has(low, _LOCKED):
            action = "unlock the domain at Dynadot, then try again"
            return Permanent("DOMAIN_LOCKED", f"Dynadot does not change it: {said}", user_action=action, **told)
        if _has(low, _BUSY):
            text = f"Dynadot is busy: {said}"
            return unknown(PROVIDER, text) if writes else Temporary(text, provider=PROVIDER)
        if writes and "name server" in low:
            # Some registries, such as .de, ask the new servers before they take them.
            action = "see that every new name server answers for the domain, then try again"
            text = f"the registry does not take the name servers: {said}"
            return Permanent("NAMESERVER_REJECTED", text, user_action=action, **told)
        return self._api.misunderstood(f"error {codes[0]}: {said}", code=codes[0])


def dicts(found: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in an answer, the outer ones first."""
    if isinstance(found, Mapping):
        yield found
        for value in found.values():
            yield from dicts(value)
    elif isinstance(found, list):
        for value in found:
            yield from dicts(value)


def _has(sentence: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in sentence for phrase in phrases)
