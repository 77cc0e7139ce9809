"""What a registry tells everybody of a domain, by RDAP (RFC 9083): who registered it, and what is locked."""

from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from catalyst_sdk import Temporary

PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class About:
    """One domain. `statuses` in RDAP's words (RFC 8056), lower case."""

    registrar: str = ""
    statuses: frozenset[str] = field(default_factory=frozenset)


class Registry(Protocol):
    """Somebody who can be asked about domains."""

    async def about(self, domain: str) -> About:
        """What is known of a registered domain; empty where nothing is. Raises Temporary."""
        ...


class NoRegistry:
    """Nobody is asked."""

    async def about(self, domain: str) -> About:
        return About()


@dataclass(frozen=True, slots=True)
class Rdap:
    """Asks below one base URL; who serves many registries there redirects."""

    base: str

    async def about(self, domain: str) -> About:
        url = f"{self.base.rstrip('/')}/domain/{quote(domain, safe='')}"
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as client:
                answer = await client.get(url, headers={"accept": "application/rdap+json"})
        except httpx.HTTPError as error:
            raise Temporary(f"RDAP does not answer: {type(error).__name__}", provider="rdap") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return About()
        if answer.status_code != httpx.codes.OK:
            raise Temporary(f"RDAP answers {answer.status_code}", provider="rdap")
        try:
            return _read(answer.json())
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise Temporary("RDAP's answer is not understood", provider="rdap") from error


def _read(body: Any) -> About:
    entities = [e for e in body.get("entities", ()) if "registrar" in e.get("roles", ())]
    names = [p[3] for e in entities for p in e.get("vcardArray", ["vcard", []])[1] if p[0] == "fn"]
    return About(str(names[0]) if names else "", frozenset(str(s).lower() for s in body.get("status", ())))
