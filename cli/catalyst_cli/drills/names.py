"""A client's own look at a public name: the authorities in turn, each answer kept for as long as it says and no longer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rdatatype
from dns.flags import RD

PATIENCE = 1.0
"""Seconds for one authority."""


class Unresolved(Exception):
    """No authority answers with an address."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, and until when it may be used."""

    address: str
    until: float


class Names:
    """Resolves one name."""

    def __init__(
        self, name: str, authorities: Sequence[tuple[str, int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = dns.name.from_text(name)
        self._authorities = list(authorities)
        self._clock = clock
        self._found: Found | None = None

    async def address(self) -> str:
        """An address of the name. Raises Unresolved."""
        if self._found is None or self._clock() >= self._found.until:
            self._found = await self._ask_in_turn()
        return self._found.address

    async def _ask_in_turn(self) -> Found:
        for _ in range(len(self._authorities)):
            found = await self._asked(*self._authorities[0])
            # The next question goes to another one: a client sees each of them sooner or later.
            self._authorities.append(self._authorities.pop(0))
            if found is not None:
                return found
        raise Unresolved(f"no authority has an address of {self._name}")

    async def _asked(self, host: str, port: int) -> Found | None:
        query = dns.message.make_query(self._name, "A")
        query.flags &= ~RD
        sent = self._clock()
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=PATIENCE, port=port)
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.A and rrset.name == self._name:
                return Found(str(rrset[0]), sent + rrset.ttl)
        return None
