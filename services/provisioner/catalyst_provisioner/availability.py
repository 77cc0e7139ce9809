"""Asking whether the name of a Sovereign can be had, and saying what stands against it."""

from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst_sdk.cloud import Finding, Severity

from .domain import rules
from .domain.rules import SpecInvalid
from .domain.wishes import Document, Wish
from .peers import Names, NamesUnavailable, SaidNo
from .zones import Zones


class Availability:
    """Looks at names, in pools and outside."""

    def __init__(self, names: Names, zones: Zones) -> None:
        self._names = names
        self._zones = zones

    async def check(self, document: Document) -> None:
        """Raises SpecInvalid for a pool that is not known, or a name of one's own in a pool.

        Each plan looks again, so that nobody waits here for a pool domain manager that does not answer.
        """
        try:
            pools = await self._names.pools()
        except NamesUnavailable:
            return
        if wrong := rules.under_a_pool(document, pools):
            raise SpecInvalid(wrong)

    async def findings(self, wish: Wish, *, is_held: bool, is_delegated: bool) -> list[Finding]:
        """What stands against the name; nothing against one that is held already."""
        if wish.mode != "pool":
            return await self._own_name(wish, is_delegated)
        if is_held:
            return []
        try:
            answer = await self._names.check(wish.pool, wish.label)
        except SaidNo as no:
            text, remedy = no.said.message, "take a pool that there is"
            return [Finding("name.unknown_pool", Severity.ERROR, "spec.domain.pool", text, remedy)]
        if answer.available or await self._rests_for_us(wish):
            return []
        code = {"NAME_TAKEN": "name.taken", "LABEL_RESERVED": "name.reserved"}.get(answer.reason, "name.taken")
        text = answer.detail or f"{wish.fqdn} is not available"
        return [
            Finding(code, Severity.ERROR, "spec.domain.label", text, "take another label", {"reason": answer.reason})
        ]

    async def _own_name(self, wish: Wish, is_delegated: bool) -> list[Finding]:
        path = "spec.domain.fqdn"
        zone = await self._zones.get(wish.fqdn)
        if zone is not None and zone.owner != f"organizations/{wish.organization}":
            text = f"{wish.fqdn} is served for another Organization"
            return [Finding("fqdn.taken", Severity.ERROR, path, text, "take another name")]
        if is_delegated:
            return []
        if wish.registrar_account:
            text = f"{wish.fqdn} will be delegated through {wish.registrar_account}"
            return [Finding("dns.not_delegated", Severity.INFO, path, text, "")]
        text = f"{wish.fqdn} is not delegated to us yet; the run shows the name servers and waits"
        remedy = "enter them at the domain's registrar, or in its parent zone"
        return [Finding("dns.not_delegated", Severity.WARNING, path, text, remedy)]

    async def _rests_for_us(self, wish: Wish) -> bool:
        """Whether the name rests after a life with the same Organization, which may take it back at once."""
        held = await self._names.get(f"pools/{wish.pool}/allocations/{wish.label}")
        resting = pooldomain.Allocation.STATE_QUARANTINED
        return held is not None and held.state == resting and held.owner == f"organizations/{wish.organization}"
