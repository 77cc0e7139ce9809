"""Importing a zone, as a run on the journal: what a source shows is collected and kept. Nothing is changed anywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from catalyst_mesh import PluginHost, Work
from catalyst_mesh.journal import Context, Kind, Step, StepFailed
from catalyst_sdk import NotSupported, Permanent, Refused, SecretRef
from catalyst_sdk.context import Secrets
from catalyst_sdk.registrar import Registrar

from catalyst_pool_domain_manager.domain import hosting, imports
from catalyst_pool_domain_manager.domain.imports import ZoneImport
from catalyst_pool_domain_manager.domain.registrars import reason_of
from catalyst_pool_domain_manager.domain.server_sets import Endpoint
from catalyst_pool_domain_manager.kept.rows import set_out
from catalyst_pool_domain_manager.store import Store

from . import collecting
from .collecting import Found, Place
from .doors import Doors
from .polled import Poll

IMPORT = "zone-import"
LONGEST = timedelta(minutes=15)


@dataclass
class Importing:
    """The one step of an import."""

    work: Work[Store]
    host: PluginHost
    poll: Poll
    secrets: Secrets
    doors: Doors

    @property
    def kind(self) -> Kind:
        """For the engine."""
        return Kind(IMPORT, self._graph)

    def _graph(self, _input: Mapping[str, Any]) -> Iterable[Step]:
        yield Step("collect", self._collect, timeout=LONGEST, retries=4)

    async def _collect(self, ctx: Context) -> Any:
        domain, id, source = ctx.input["zone"], ctx.input["import"], ctx.input["source"]
        async with self.work.reading() as tx:
            if await tx.zone_import(domain, id):
                return {"import": id}
        found = await self._found(source, f"{domain}.", ctx.input["what"])
        async with self.work.transaction() as tx:
            await ctx.guard(tx.sql)
            zone = await tx.zone(domain, lock=True)
            if zone is None:
                raise StepFailed("ZONE_NOT_FOUND", f"zones/{domain} is gone")
            kept = ZoneImport(
                domain,
                id,
                source,
                imports.completeness(source, found.left_out),
                found.record_sets,
                found.wildcard_found,
                ctx.started_by,
                tx.now,
                found.left_out,
            )
            decision = hosting.imported(zone, kept, tx.now)
            await tx.keep_import(kept)
            await tx.save_zone(decision.state)
            tx.emit(*decision.events)
        return {"import": id}

    async def _found(self, source: str, origin: str, what: Mapping[str, Any]) -> Found:
        if source == "zone_file":
            sets = tuple(r for raw in what["record_sets"] if (r := set_out(raw)) is not None)
            return Found(sets, any(r.name.startswith("*.") for r in sets))
        if source == "axfr":
            place = (await self._places([Endpoint(what["host"], tuple(what["addresses"]), what["port"])]))[0]
            key = await self.secrets.resolve(SecretRef(what["secret"])) if what["secret"] else None
            return await collecting.transfer(place, origin, key)
        if source == "registrar_account":
            return await self._told(what["account"], origin)
        places = await self._present(origin)
        if source == "nsec_walk":
            return await collecting.walk(places, origin)
        return await collecting.probe(places, origin, what["extra"])

    async def _told(self, account: str, origin: str) -> Found:
        """What the account's registrar has on name servers of its own. Raises StepFailed."""
        try:
            told = await (await self.doors.open(account, origin)).records()
        except Refused as gone:
            raise StepFailed(gone.reason, gone.sentence) from gone
        except NotSupported as lacking:
            raise StepFailed("REGISTRAR_OPERATION_UNSUPPORTED", lacking.message) from lacking
        except Permanent as refused:
            raise StepFailed(reason_of(refused.reason), refused.message, user_action=refused.user_action) from refused
        sets = imports.kept(told.record_sets, origin)
        return Found(sets, any(r.name.startswith("*.") for r in sets), told.left_out)

    async def _present(self, origin: str) -> list[Place]:
        """The servers to which the parent points now. Raises Permanent where it points nowhere."""
        parents: Registrar = self.host.get("registrar", "manual")
        seen = await parents.delegation(credential=None, domain=origin)
        if not seen.ns:
            raise Permanent("NOT_DELEGATED", f"no parent points to servers of {origin}; there is nothing to import")
        glue = {one.host: one.addresses for one in seen.glue}
        return await self._places(Endpoint(host, glue.get(host, ())) for host in seen.ns)

    async def _places(self, endpoints: Iterable[Endpoint]) -> list[Place]:
        polled = await self.poll.at(endpoints)
        found = []
        for name in polled.names:
            try:
                found.append(polled.servers.address(name))
            except LookupError:
                continue
        if not found:
            raise Permanent("NOBODY_TO_ASK", f"no address is known of {', '.join(polled.names) or 'its servers'}")
        return found
