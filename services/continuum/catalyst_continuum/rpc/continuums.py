"""Slots as resources: made, read, changed, deleted, watched."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, Page, caller
from catalyst_sdk import Decision, Violation
from google.protobuf.empty_pb2 import Empty

from ..domain import slots
from ..domain.slots import Slot
from ..domain.spec import SpecInvalid
from ..store import Store
from . import filters, specs, watching
from .calls import Calls, namespaces_of, organization
from .elsewhere import anywhere, was_handed_on, watched_anywhere
from .everywhere import changed_everywhere, made_everywhere
from .histories import HISTORY

BATCH = 200
MOST = 500


class ContinuumCalls(Calls):
    """The standard methods, and the watch."""

    @anywhere
    async def GetContinuum(self, request: service_pb2.GetContinuumRequest, context: Context) -> resources_pb2.Continuum:
        async with self._work.reading() as tx:
            slot = await self._seen(tx, request.name)
            observed, now = await tx.observed(slot.namespace, slot.name), tx.now
            recent = await tx.runs_of(slot.key, limit=HISTORY)
        register = self._registers.shown(slot).register
        if not any(view.reachable for view in register.views.values()):
            await register.look(slot.key)  # this replica has not kept a slot yet
        return self._shown(slot, observed, now, recent)

    async def ListContinuums(
        self, request: service_pb2.ListContinuumsRequest, context: Context
    ) -> service_pb2.ListContinuumsResponse:
        who, wanted = caller(context), filters.terms(request.filter)
        page = Page.of(
            request.page_size, request.page_token, "continuums", request.parent, request.filter, who.subject, most=MOST
        )
        namespace = request.parent.removeprefix("namespaces/")
        allowed, found = namespaces_of(who), list[resources_pb2.Continuum]()
        after = tuple(page.after or ("", ""))
        async with self._work.reading() as tx:
            while len(found) <= page.size:
                rows = await tx.live("" if namespace == "-" else namespace, after, BATCH)
                for slot in rows:
                    if allowed is None or slot.namespace in allowed:
                        shown = self._shown(slot, await tx.observed(slot.namespace, slot.name), tx.now)
                        found += [shown] if filters.matches(shown, wanted) else []
                if len(rows) < BATCH:
                    break
                after = (rows[-1].namespace, rows[-1].name)
        if not self._region and not was_handed_on(context):
            found = _joined(found, await self._elsewhere.listed(request), tuple(page.after or ("", "")))
        cut = page.cut(found[: page.size + 1], _place)
        return service_pb2.ListContinuumsResponse(continuums=cut.rows, next_page_token=cut.next_page_token)

    @made_everywhere
    async def CreateContinuum(
        self, request: service_pb2.CreateContinuumRequest, context: Context
    ) -> resources_pb2.Continuum:
        who, namespace = caller(context), request.parent.removeprefix("namespaces/")
        who.require("sovereign-admin", "org-admin", org=organization(namespace), resource=request.parent)
        wish = specs.document(request.continuum.spec)
        spec = specs.parsed(wish, replace(self._house, namespace=namespace))
        specs.must_be_fenced(spec, self._fences(f"{namespace}/{request.continuum_id}", spec))
        self._registers.of(spec.lease)  # cells that cannot be reached as they are configured are refused now

        async def step(tx: Store) -> Decision[Slot]:
            return slots.create(
                await tx.lock(namespace, request.continuum_id), namespace, request.continuum_id, document=specs.text(wish),
                spec=spec, uid=str(uuid4()), teller=self._region, by=who.subject, now=tx.now,
            )  # fmt: skip

        return await self._written(step, validate_only=request.validate_only)

    @changed_everywhere
    async def UpdateContinuum(
        self, request: service_pb2.UpdateContinuumRequest, context: Context
    ) -> resources_pb2.Continuum:
        who = caller(context)
        await self._must_reach(request)

        async def step(tx: Store) -> Decision[Slot]:
            slot = await self._locked(tx, request.continuum.name, request.etag, "org-admin")
            house, before = replace(self._house, namespace=slot.namespace), specs.wish_of(slot)
            wish = specs.merged(before, request.continuum.spec, request.update_mask.paths)
            return slots.update(
                slot, specs.understood(slot, self._house, self._profile), specs.parsed(wish, house), document=specs.text(wish),
                changed=specs.changed(before, wish), by=who.subject, now=tx.now,
            )  # fmt: skip

        return await self._written(step, validate_only=request.validate_only)

    async def _must_reach(self, request: service_pb2.UpdateContinuumRequest) -> None:
        """Ask the cells of a new wish who they are, before anything is locked. Raises SpecInvalid, CellsUnusable."""
        async with self._work.reading() as tx:
            slot = await self._seen(tx, request.continuum.name)
        wish = specs.merged(specs.wish_of(slot), request.continuum.spec, request.update_mask.paths)
        after = specs.parsed(wish, replace(self._house, namespace=slot.namespace))
        before = specs.understood(slot, self._house, self._profile)
        if (after.profile, after.switchover.mechanism) != (before.profile, before.switchover.mechanism):
            specs.must_be_fenced(after, self._fences(slot.key, after))
        if faults := await self._registers.faults(before.lease, after.lease):
            raise SpecInvalid([Violation(f"{specs.PREFIX}spec.lease_client", fault, "majority") for fault in faults])

    @changed_everywhere
    async def DeleteContinuum(self, request: service_pb2.DeleteContinuumRequest, context: Context) -> Empty:
        who = caller(context)

        async def step(tx: Store) -> Decision[Slot]:
            slot = await self._locked(tx, request.name, request.etag, "org-admin")
            await self._must_rest(tx, slot)
            return slots.delete(slot, by=who.subject, now=tx.now)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    @watched_anywhere
    async def WatchContinuum(
        self, request: service_pb2.WatchContinuumRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchContinuumResponse]:
        async def look() -> watching.Looked:
            async with self._work.reading() as tx:
                slot = await self._seen(tx, request.name)
                recent = await tx.runs_of(slot.key, limit=HISTORY)
                return slot, await tx.observed(slot.namespace, slot.name), tx.now, recent

        changes = watching.states(look, self._shown, request.cursor, self._work.bell, self._curfew.over)
        async for answer in self._curfew.bounded(changes):
            yield answer


def _place(one: resources_pb2.Continuum) -> list[str]:
    """Namespace and name, by which slots are in order."""
    _, namespace, _, name = one.name.split("/")
    return [namespace, name]


def _joined(
    own: Sequence[resources_pb2.Continuum], others: Mapping[str, resources_pb2.Continuum], after: tuple[str, ...]
) -> list[resources_pb2.Continuum]:
    """A house's own slots and those that only its regions know, in one order."""
    known = {one.name for one in own}
    rest = [one for name, one in others.items() if name not in known and tuple(_place(one)) > after]
    return sorted((*own, *rest), key=_place)
