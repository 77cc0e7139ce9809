"""A cell is an HTTP store; a compare-and-swap is one PUT whose precondition is the hash of the old value.

Invariants
  every error is UNKNOWN   only a 2xx that shows the hash of what was sent is a yes, only a 412 a no;
  the cell itself          an answer counts with the header `Catalyst-Cell` alone, which names the cell that `/identity` named: a
                           proxy's page, a captive portal, another cell behind the same address are no answer;
  linearizable             a store that does not say so of itself is asked for nothing: a key-value store whose writes show late,
                           read and then written by a script in between, lets two writers win.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from catalyst_sdk import Permanent, SecretRef, Temporary
from catalyst_sdk.context import Secrets
from catalyst_sdk.witness import LINEARIZABLE, CellIdentity, Swap

from .wire import Answer, Wire

PROVIDER = "cloudflare"
_KEPT = re.compile(rb"[a-z0-9 =.:,/-]{1,255}")
"""What cells of every kind keep and compare as it is."""


@dataclass(frozen=True, slots=True)
class Store:
    """One cell: where it answers, and the name of the secret that it wants to see."""

    url: str
    token: SecretRef


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration says."""

    stores: Mapping[str, Store]
    timeout: float


def configured(config: Mapping[str, Any]) -> Configured:
    """Read the configuration."""
    return Configured(
        stores={c["name"]: Store(c["url"].rstrip("/"), SecretRef(c["token"])) for c in config["cells"]},
        timeout=float(config.get("op_timeout_seconds", 1.0)),
    )


class HttpCells:
    """The cells of one witness."""

    def __init__(self, configured: Configured, secrets: Secrets) -> None:
        self._c = configured
        self._secrets = secrets
        self._wire = Wire(configured.timeout)
        self._known: dict[str, str] = {}
        """By cell, the id under which it was found to be linearizable."""

    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""
        return tuple(self._c.stores)

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        """The value, whose hash stands beside it; None for the cell's own 404."""
        answer = await self._asked(cell, "GET", f"/cell/{path_of(slot)}")
        if answer.status == 404:
            return None
        if answer.status != 200 or answer.etag != tag_of(answer.body):
            raise _unusable(f"{cell} shows no value: {answer.status}", answer)
        return answer.body

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        """One PUT, never sent twice. Raises Permanent for what is not kept, and for a store that must not be a cell."""
        if not _KEPT.fullmatch(new):
            kept = "a cell keeps 1 to 255 octets of a-z, 0-9, space and =.:,/-"
            raise Permanent("RECORD_INVALID", kept, provider=PROVIDER)
        only_if = {"If-None-Match": "*"} if old is None else {"If-Match": tag_of(old)}
        try:
            answer = await self._asked(cell, "PUT", f"/cell/{path_of(slot)}", only_if, new)
        except Temporary:
            return Swap.UNKNOWN
        if answer.status in (200, 201, 204) and answer.etag == tag_of(new):
            return Swap.APPLIED
        return Swap.MISMATCH if answer.status == 412 else Swap.UNKNOWN

    async def identity(self, *, cell: str) -> CellIdentity:
        """`GET /identity`. Raises Permanent("UNSAFE_WITNESS") for a store that is not linearizable."""
        answer = await self._sent(cell, "GET", "/identity")
        try:
            told = json.loads(answer.body) if answer.status == 200 else {}
            one = CellIdentity(
                str(told["cellId"]), int(told["incarnation"]), str(told.get("software", "")),
                str(told.get("consistency", "unknown")), _offset(answer.date),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise _unusable(f"{cell} shows no identity: {answer.status}", answer) from error
        if one.consistency != LINEARIZABLE:
            self._known.pop(cell, None)
            why = (
                f"{cell} says that it is {one.consistency}, not {LINEARIZABLE}: its writes show late elsewhere, and two writers "
                "would both win; use a Durable Object for each slot"
            )
            raise Permanent("UNSAFE_WITNESS", why, provider=PROVIDER)
        self._known[cell] = one.id
        return one

    async def _asked(
        self, cell: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """The answer of the cell itself."""
        known = self._known.get(cell) or (await self.identity(cell=cell)).id
        answer = await self._sent(cell, method, path, headers, body)
        if answer.cell != known:
            self._known.pop(cell, None)  # it may have been made anew; then it says so when it is asked again
            other = f"another cell, {answer.cell}," if answer.cell else "somebody else"
            raise _unusable(f"{other} answers for {cell}: {answer.status}", answer)
        return answer

    async def _sent(
        self, cell: str, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        store = self._c.stores[cell]
        token = (await self._secrets.resolve(store.token)).reveal()
        whole = {"Authorization": f"Bearer {token}", **(headers or {})}
        answer = await self._wire.send(method, store.url + path, whole, body)
        if answer is None:
            raise Temporary(f"{cell} does not answer", provider=PROVIDER)
        if answer.status in (401, 403):
            raise _unusable(f"{cell} does not take the token of the secret {store.token.name}", answer)
        return answer


def _offset(date: str) -> float | None:
    """Seconds by which a `Date` is ahead of our clock; None for what is none."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return None


def _unusable(what: str, answer: Answer) -> Temporary:
    return Temporary(what, provider=PROVIDER, provider_code=str(answer.status))


def path_of(slot: str) -> str:
    """The slot as one segment of a path: base32 of its name, or a hash of it where that is too long; `.` before the name of
    a later configuration."""
    name, _, configuration = slot.partition("@")
    label = base64.b32encode(name.encode()).decode().rstrip("=").lower()
    if len(label) > 63:
        label = hashlib.sha256(name.encode()).digest()[:20].hex()
    return f"{label}.{configuration}" if configuration else label


def tag_of(value: bytes) -> str:
    """The entity tag of a value."""
    return f'"{hashlib.sha256(value).hexdigest()}"'
