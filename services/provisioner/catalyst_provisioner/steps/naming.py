"""Steps about the name: reserve it before anything is spent, commit it once there is an address, release it last."""

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst_mesh import moment, sealed_at
from catalyst_mesh.journal import Context, StepFailed

from ..domain.sovereign import Sovereign
from ..domain.wishes import Wish
from ..peers import Names, SaidNo
from ..store import Reservation, Store, tables
from ..store.secrets import COMMITTED, LOST, RELEASED, RESERVED
from .tools import PROBED, Tools, targets_of

MARGIN = timedelta(seconds=1)


class Naming:
    """Steps that speak with the pool domain manager."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def reserve(self, ctx: Context) -> Any:
        """Hold the name, or see that it is held."""
        sovereign, _, wish = await self._t.wish(ctx)
        await self._t.work.again(lambda tx: tx.unobserve(sovereign.id, PROBED))
        held = await self._held(sovereign.id)
        if held and held.state == COMMITTED:
            return {"allocation": held.allocation, "state": held.state}
        if held and held.state == RESERVED and held.expires_at > ctx.now() + MARGIN:
            return {"allocation": held.allocation, "state": held.state}
        made = await hold(self._t, sovereign, wish, held, actor=ctx.input["actor"])
        return {"allocation": made.allocation, "state": made.state}

    async def release(self, ctx: Context) -> Any:
        """Give the name back, and see that it is gone."""
        held = await self._held(ctx.input["sovereign"])
        if held is None or held.state in (RELEASED, LOST):
            return {"allocation": held.allocation if held else ""}
        token = self._t.vault.sealer.open(held.token, held.place).decode()

        async def give_back() -> None:
            await self._t.names.release(held.allocation, token, f"{ctx.subject} is taken away")

        await ctx.once("release", give_back)
        allocation = await self._t.names.get(held.allocation)
        if allocation is not None and allocation.state != pooldomain.Allocation.STATE_QUARANTINED:
            await ctx.again(self._t.look_again)
        await self._keep(held, RELEASED)
        await self._t.work.again(lambda tx: tx.unobserve(held.sovereign, "name_held", "dns_ready"))
        return {"allocation": held.allocation}

    async def commit(self, ctx: Context) -> Any:
        """Take the name for good with the addresses of the load balancers, and wait until the world sees it."""
        _, _, wish = await self._t.wish(ctx)
        return await self.led(ctx, wish)

    async def led(self, ctx: Context, wish: Wish) -> Any:
        """Have the name lead to the clusters of `wish`."""
        sovereign = await self._t.sovereign(ctx)
        held = await self._held(sovereign.id)
        if held is None or held.state in (RELEASED, LOST):
            raise StepFailed("NAME_LOST", f"{wish.fqdn} is not held any more", user_action="retry name.reserve")
        targets = await targets_of(self._t, ctx, wish)
        if held.state == RESERVED:
            held = await self._committed(ctx, sovereign, wish, held, targets)
        allocation = await self._t.names.get(held.allocation)
        await self._follow(ctx, held, allocation, targets)
        return {"allocation": held.allocation, "targets": [list(target) for target in targets]}

    async def _committed(
        self, ctx: Context, sovereign: Sovereign, wish: Wish, held: Reservation, targets: list[tuple[str, str]]
    ) -> Reservation:
        token = self._t.vault.sealer.open(held.token, held.place).decode()
        try:
            await self._t.names.commit(held.allocation, token, wish.fqdn, targets)
        except SaidNo as no:
            if no.said.reason in ("RESERVATION_EXPIRED", "ALLOCATION_NOT_FOUND"):
                held = await hold(self._t, sovereign, wish, held, actor=ctx.input["actor"])
                return await self._committed(ctx, sovereign, wish, held, targets)
            raise StepFailed(no.said.reason or "DNS_REFUSED", no.said.message) from no
        await ctx.emit("name.committed", f"{wish.fqdn} points to {', '.join(a for _, a in targets)}")
        return await self._keep(held, COMMITTED)

    async def _follow(
        self, ctx: Context, held: Reservation, allocation: pooldomain.Allocation | None, targets: list[tuple[str, str]]
    ) -> None:
        states = pooldomain.Allocation
        if allocation is None or allocation.state in (states.STATE_RELEASING, states.STATE_QUARANTINED):
            await self._keep(held, LOST)
            raise StepFailed("NAME_LOST", f"{held.allocation} is not ours any more")
        if sorted((t.slot, t.address) for t in allocation.targets) != sorted(targets):
            await self._t.names.point(allocation, targets)
            await ctx.again(self._t.look_again)
        if allocation.state == states.STATE_FAILED:
            why = next((c.message for c in allocation.conditions if c.status != c.STATUS_TRUE), "see its conditions")
            raise StepFailed("DNS_FAILED", why, user_action="mend it, then retry the step")
        if allocation.state != states.STATE_ACTIVE:
            await ctx.again(self._t.look_again)

        async def seen(tx: Store) -> None:
            await tx.observe(held.sovereign, "dns_ready", [list(target) for target in targets])

        await self._t.work.again(seen)

    async def _held(self, sovereign: str) -> Reservation | None:
        async with self._t.work.reading() as tx:
            return await tx.reservation(sovereign)

    async def _keep(self, held: Reservation, state: str) -> Reservation:
        changed = Reservation(held.sovereign, held.allocation, held.token, held.expires_at, state, held.tries)
        await self._t.work.again(lambda tx: tx.keep_reservation(changed))
        return changed


async def hold(tools: Tools, sovereign: Sovereign, wish: Wish, held: Reservation | None, *, actor: str) -> Reservation:
    """Reserve the name once more. The same try carries the same request id, so a lost answer is given again."""
    return await reserve_again(tools.names, tools, sovereign, pool=wish.pool, label=wish.label, held=held, actor=actor)


async def reserve_again(
    names: Names, tools: Tools, sovereign: Sovereign, *, pool: str, label: str, held: Reservation | None, actor: str
) -> Reservation:
    """As `hold`, for callers that have no wish at hand. Raises StepFailed for a name that is another's."""
    tries = (held.tries if held else 0) + 1
    try:
        answer = await names.reserve(
            pool, label,
            owner=f"organizations/{sovereign.organization}", holder=sovereign.name, actor=actor,
            ttl=tools.reservation_ttl, request_id=str(uuid5(NAMESPACE_URL, f"{sovereign.uid}/name/{tries}")),
        )  # fmt: skip
    except SaidNo as no:
        raise StepFailed(no.said.reason or "NAME_REFUSED", no.said.message, user_action="take another label") from no
    token = tools.vault.sealer.seal(
        answer.reservation_token.encode(), sealed_at(tables.reservations.c.token, sovereign.id)
    )
    ends = moment(answer.allocation.expire_time)
    made = Reservation(sovereign.id, answer.allocation.name, token, ends, RESERVED, tries)

    async def keep(tx: Store) -> None:
        await tx.keep_reservation(made)
        await tx.observe(sovereign.id, "name_held", made.allocation)

    await tools.work.again(keep)
    return made
