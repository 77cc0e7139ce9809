"""Steps about a name of one's own: its zone, its records, and the wait for the parent that points to it."""

import hashlib
import json
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst_mesh.journal import Context, StepFailed

from ..domain.names import own_records
from ..domain.wishes import Wish
from ..peers import SaidNo
from ..store import Store
from .tools import PROBED, Tools, targets_of

ENDED_BADLY = (pooldomain.Delegation.STATE_FAILED, pooldomain.Delegation.STATE_ROLLED_BACK)


class Delegating:
    """Steps of Sovereigns whose name lies in no pool."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def make(self, ctx: Context) -> Any:
        """Have the zone, and see that it is ours; whose domain it is, the parent says later."""
        sovereign, _, wish = await self._t.wish(ctx)
        await self._t.work.again(lambda tx: tx.unobserve(sovereign.id, PROBED))
        owner = f"organizations/{sovereign.organization}"
        try:
            zone = await self._t.zones.make(wish.fqdn, owner=owner, uid=sovereign.uid)
        except SaidNo as no:
            raise StepFailed(no.said.reason or "NAME_REFUSED", no.said.message, user_action="take another name") from no
        if zone.owner != owner:
            raise StepFailed("NAME_TAKEN", f"{zone.name} belongs to another Organization", user_action="take another")
        await self._t.work.again(lambda tx: tx.observe(sovereign.id, "name_held", zone.name))
        return {"zone": zone.name}

    async def delegation(self, ctx: Context) -> Any:
        """Wait, for weeks if need be, until every server of the parent points to ours. Nothing is held meanwhile."""
        sovereign, _, wish = await self._t.wish(ctx)
        zone = await self._t.zones.get(wish.fqdn)
        if zone is None:
            raise StepFailed("ZONE_GONE", f"there is no zone {wish.fqdn} any more", user_action="retry name.reserve")
        cut = await self._t.zones.cut(zone)
        wanted = {"domain": wish.fqdn, "ns": list(cut.ns), "ds": list(cut.ds)}
        await self._t.work.again(lambda tx: tx.observe(sovereign.id, "delegation_wanted", wanted))
        if wish.registrar_account:
            await self._flipped(ctx, wish.fqdn, wish.registrar_account)
        elif not await self._t.zones.is_delegated(wish.fqdn):
            await ctx.again(self._t.look_again)

        async def seen(tx: Store) -> None:
            await tx.unobserve(sovereign.id, "delegation_wanted")
            await tx.observe(sovereign.id, "delegated", list(cut.ns))

        await self._t.work.again(seen)
        return wanted

    async def write(self, ctx: Context) -> Any:
        """Have the records in the zone, and wait until its servers show them."""
        _, _, wish = await self._t.wish(ctx)
        return await self.led(ctx, wish)

    async def led(self, ctx: Context, wish: Wish) -> Any:
        """Have the records of `wish` in the zone, and no more those of clusters that left."""
        sovereign, targets = await self._t.sovereign(ctx), await targets_of(self._t, ctx, wish)
        sets = own_records(targets)
        wanted = {(name, kind) for name, kind, _ in sets}
        gone = [one for one in await self._written(sovereign.id) if one not in wanted]
        digest = hashlib.sha256(json.dumps([sets, gone]).encode()).hexdigest()[:12]

        async def put() -> None:
            await self._t.zones.write(wish.fqdn, sets)
            if gone:
                await self._t.zones.erase(wish.fqdn, gone)

        await ctx.once(f"write.{digest}", put)
        zone = await self._t.zones.get(wish.fqdn)
        if zone is None or zone.state == pooldomain.Zone.STATE_FAILED:
            raise StepFailed("DNS_FAILED", f"the zone {wish.fqdn} is not served", user_action="mend it, then retry")
        if zone.state != pooldomain.Zone.STATE_ACTIVE:
            await ctx.again(self._t.look_again)
        await self._t.work.again(lambda tx: tx.observe(sovereign.id, "dns_ready", [list(t) for t in targets]))
        return {"zone": zone.name, "targets": [list(target) for target in targets]}

    async def drop(self, ctx: Context) -> Any:
        """Take the zone away; one that a parent still points to stays, without our records, and is named."""
        sovereign = await self._t.sovereign(ctx)
        zone = await self._t.zones.get(sovereign.fqdn)
        if zone is None or zone.owner != f"organizations/{sovereign.organization}":
            facts = ("name_held", "dns_ready", "delegated", "delegation_wanted")
            await self._t.work.again(lambda tx: tx.unobserve(sovereign.id, *facts))
            return {"zone": ""}
        if zone.state != pooldomain.Zone.STATE_DELETING:
            try:
                await self._t.zones.delete(zone)
            except SaidNo as no:
                if no.said.reason != "ZONE_DELEGATED":
                    raise
                return await self._emptied(ctx, sovereign.id, sovereign.fqdn)
        await ctx.again(self._t.look_again)
        return None

    async def _emptied(self, ctx: Context, id: str, domain: str) -> Any:
        names = await self._written(id)

        async def erase() -> None:
            await self._t.zones.erase(domain, names)

        if names:
            await ctx.once("erase", erase)
        await ctx.emit("zone.kept", f"{domain} is still delegated to us; the empty zone stays", level="warn")
        return {"zone": f"zones/{domain}", "kept": True}

    async def _written(self, id: str) -> list[tuple[str, str]]:
        """Names and types of the records that are known to be in the zone."""
        async with self._t.work.reading() as tx:
            seen = await tx.facts(id)
        targets: list[list[str]] = seen["dns_ready"][0] if "dns_ready" in seen else []
        return [(name, kind) for name, kind, _ in own_records([(slot, address) for slot, address in targets])]

    async def _flipped(self, ctx: Context, domain: str, account: str) -> None:
        zone = await self._t.zones.get(domain)
        assert zone is not None, "the caller has just read it"
        cut = await self._t.zones.cut(zone)

        async def flip() -> None:
            await self._t.zones.flip(domain, cut, account)

        try:
            await ctx.once(f"flip.{ctx.attempt}", flip)
        except SaidNo as no:
            raise StepFailed(
                no.said.reason or "DELEGATION_REFUSED", no.said.message, user_action="mend it, retry"
            ) from no
        found = await self._t.zones.delegation(domain)
        if found.state in ENDED_BADLY:
            why = next((c.message for c in found.conditions if c.status != c.STATUS_TRUE), "see its conditions")
            raise StepFailed("DELEGATION_FAILED", why, user_action="mend it, then retry the step")
        if found.state != pooldomain.Delegation.STATE_DELEGATED:
            await ctx.again(self._t.look_again)
