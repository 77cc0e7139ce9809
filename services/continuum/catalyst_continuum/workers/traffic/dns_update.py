"""Names at ordinary authoritative servers, moved by RFC 2136 updates whose prerequisite is the mark of the epoch.

Each authority and each name is moved on its own: one that is down holds up no other, and gets what is wanted when it is
back, since whoever holds the slot applies its plan again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from catalyst_mesh import get_logger
from catalyst_sdk.continuum import AuthorityView, CheckResult, Effect, TrafficPlan, TrafficView, Verdict

from catalyst_continuum.domain.steering import Steering
from catalyst_continuum.domain.traffic import Foreign, Seen, Stale, Update, has, move

from .authority import Authority, Silent, Written
from .gates import ByGate, Gate

GRACE = 0.25
"""Seconds for which all wait for what each authority has: one that is newer stops the rest. A slower one is not waited for."""
TRIES = 3
EFFECTOR = "names"
"""What refuses, in metrics."""
Decide = Callable[[str, Seen], Update | Stale | Foreign | None]
"""What is to be done at a name, from what an authority has there."""
Pair = tuple[Authority, str]


class Noted(Protocol):
    """Where it is measured how names are; `ContinuumMetrics` for one slot."""

    def traffic(self, view: TrafficView) -> None:
        """Names were looked at, or written."""
        ...

    def stale(self, effector: str) -> None:
        """An effect of an older epoch was refused."""
        ...


class Vantage(Protocol):
    """Places from which the names are looked at as clients do."""

    async def look(self, plan: TrafficPlan) -> Sequence[CheckResult]:
        """What resolvers answer, and what a request by each name finds."""
        ...


@dataclass(frozen=True)
class DnsUpdate(ByGate):
    """The traffic of one slot. `clock`: seconds since the machine started."""

    steering: Steering
    authorities: Sequence[Authority]
    clock: Callable[[], float]
    gate: Gate | None = None
    vantage: Vantage | None = None
    noted: Noted | None = None

    def plan(self, *, holder: str) -> TrafficPlan:
        """See the contract."""
        return self.steering.plan(holder)

    async def observe(self) -> TrafficView:
        """Each authority and name, asked directly."""
        view = TrafficView(tuple(await asyncio.gather(*(self._view(*pair) for pair in self._pairs()))))
        if self.noted is not None:
            self.noted.traffic(view)
        return view

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        """See the contract."""

        def decide(name: str, seen: Seen) -> Update | Stale | Foreign | None:
            return move(seen, epoch, plan.holder, self.steering.wanted(plan, name))

        return await self._everywhere(decide, epoch)

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        """See the contract. A name that is not in the epoch yet stays as it is: UNKNOWN, apply the plan first."""

        def decide(name: str, seen: Seen) -> Update | Stale | Foreign | None:
            mark = seen.mark
            if mark is None or mark.epoch < epoch or mark.holder not in self.steering.places:
                return Foreign(f"it is not in epoch {epoch} yet")
            plan = replace(self.plan(holder=mark.holder), ttl=ttl)
            return move(seen, epoch, mark.holder, self.steering.wanted(plan, name))

        return await self._everywhere(decide, epoch)

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> Sequence[CheckResult]:
        """One result an authority, then what is seen from elsewhere."""
        own = await asyncio.gather(*(self._verified(authority, plan, epoch) for authority in self.authorities))
        return (*own, *(await self.vantage.look(plan) if self.vantage else ()))

    async def _everywhere(self, decide: Decide, epoch: int) -> Effect:
        """Look everywhere; where nobody is newer, write everywhere."""
        async with asyncio.TaskGroup() as group:
            looks = [(*pair, group.create_task(_looked(*pair))) for pair in self._pairs()]
            if not looks:
                return Effect.DONE
            await asyncio.wait([look for _, _, look in looks], timeout=GRACE)
            seen = [(name, found) for _, name, look in looks if look.done() and (found := look.result())]
            if any(isinstance(decide(name, found), Stale) for name, found in seen):
                for _, _, look in looks:
                    look.cancel()
                return self._told([], Effect.STALE_EPOCH)
            effects = await asyncio.gather(*(_brought(*one, decide) for one in looks))
        # Of one that was not brought there nothing is known: it keeps what was known of it.
        views = [
            AuthorityView(authority.name, name, epoch, answers=effect is Effect.DONE)
            for (authority, name, _), effect in zip(looks, effects, strict=True)
        ]
        return self._told(views, _worst(effects))

    def _told(self, views: Sequence[AuthorityView], effect: Effect) -> Effect:
        if self.noted is not None:
            self.noted.traffic(TrafficView(tuple(views)))
            if effect is Effect.STALE_EPOCH:
                self.noted.stale(EFFECTOR)
        return effect

    async def _view(self, authority: Authority, name: str) -> AuthorityView:
        sent = self.clock()
        seen = await _looked(authority, name)
        age = self.clock() - sent
        if seen is None:
            return AuthorityView(authority.name, name, None, answers=False, age=age)
        epoch, addresses = seen.mark.epoch if seen.mark else None, seen.all_addresses()
        # A mark without an address: the name is withheld, or lost.
        answers = bool(addresses) or epoch is None
        return AuthorityView(authority.name, name, epoch, addresses, seen.ttl, answers, age)

    async def _verified(self, authority: Authority, plan: TrafficPlan, epoch: int) -> CheckResult:
        check = f"authority-{authority.name}"
        try:
            serial = await authority.serial()
            found = {name: await authority.look(name) for name in plan.addresses}
        except Silent as silent:
            return CheckResult(check, Verdict.UNKNOWN, str(silent), "it gets what is wanted when it answers again")
        behind = [name for name, seen in found.items() if not self._leads(seen, plan, name, epoch)]
        if behind:
            shown = ", ".join(f"{name} ({_shown(found[name])})" for name in behind)
            return CheckResult(check, Verdict.BLOCK, f"not in epoch {epoch}: {shown}", "the plan is applied again")
        return CheckResult(check, Verdict.PASS, f"{len(found)} names in epoch {epoch}, serial {serial}")

    def _leads(self, seen: Seen, plan: TrafficPlan, name: str, epoch: int) -> bool:
        answers = set(seen.all_addresses())
        return (
            bool(answers)
            and answers <= set(plan.addresses[name])
            and has(seen, epoch, plan.holder, self.steering.wanted(plan, name))
        )

    def _pairs(self) -> list[Pair]:
        return [(authority, name) for authority in self.authorities for name in self.steering.names]


async def _looked(authority: Authority, name: str) -> Seen | None:
    try:
        return await authority.look(name)
    except Silent:
        return None


async def _brought(authority: Authority, name: str, look: Awaitable[Seen | None], decide: Decide) -> Effect:
    """Bring one name at one server to what is decided; what was written by others meanwhile is decided upon anew."""
    seen, log = await look, get_logger("traffic")
    for _ in range(TRIES):
        if seen is None:
            return Effect.UNKNOWN
        update = decide(name, seen)
        if update is None:
            return Effect.DONE
        if isinstance(update, Stale):
            return Effect.STALE_EPOCH
        if isinstance(update, Foreign):
            log.warning("name not moved", authority=authority.name, name=name, why=update.why)
            return Effect.UNKNOWN
        if await authority.write(name, update) is Written.APPLIED:
            return Effect.DONE
        # No and no answer are one here: our own message may have come through, and another's may have.
        seen = await _looked(authority, name)
    return Effect.UNKNOWN


def _worst(effects: Sequence[Effect]) -> Effect:
    for effect in (Effect.STALE_EPOCH, Effect.UNKNOWN):
        if effect in effects:
            return effect
    return Effect.DONE


def _shown(seen: Seen) -> str:
    return seen.marks[0] if seen.marks else "no mark"
