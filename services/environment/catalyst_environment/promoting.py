"""What moves a promotion on: its gates are judged, and where they let it pass its merge begins.

The same whoever asks: the RPC that made it or changed it, or the worker that comes by because time has passed.
"""

from collections.abc import Callable
from datetime import datetime

from catalyst_mesh import Clock
from catalyst_mesh.journal import Engine, new_id

from .domain import applications, promotions
from .domain.applications import Application, Wanted
from .domain.organizations import Organization
from .domain.organizations import State as OrgState
from .domain.promotions import Gate, Policy, Promotion, State
from .steps import PROMOTE
from .store import Store


class Promoting:
    """Judges and begins, inside a transaction of the caller's."""

    def __init__(self, engine: Engine, clock: Clock, new_uid: Callable[[], str]) -> None:
        self._engine = engine
        self._clock = clock
        self._new_uid = new_uid

    async def gates(self, tx: Store, held: Promotion, now: datetime) -> tuple[Gate, ...]:
        """How the gates of one stand."""
        if held.state is not State.PENDING_APPROVAL:
            return held.gates
        policy = await policy_of(tx, held.environment)
        source = await tx.find(Application, held.source, held.application)
        return promotions.judge(policy, held, _there(source), await tx.applications(held.environment), now)

    async def advance(self, tx: Store, held: Promotion) -> tuple[Promotion, tuple[object, ...]]:
        """The promotion as it is then, saved, and what is to be told of it; the engine is woken after the commit."""
        gates = await self.gates(tx, held, tx.now)
        organization = await tx.find(Organization, held.org, lock=True)
        is_free = organization is not None and organization.state is OrgState.ACTIVE
        source = _there(await tx.find(Application, held.source, held.application))
        target = _there(await tx.find(Application, held.environment, held.application, lock=True))
        if source is None or (target is not None and target.busy) or not is_free:
            return held, ()
        if held.state is not State.PENDING_APPROVAL or not promotions.may_pass(held, gates, tx.now):
            return held, ()
        run = new_id(self._clock.now())
        merged = promotions.merge(held, gates, run, tx.now)
        moved = await self._target(tx, held, source, target, run)
        await tx.save((moved[0], merged.state))
        input = {
            "organization": held.org,
            "environment": held.environment,
            "applications": [held.application],
            "promotion": held.id,
            "commit": held.commit,
        }  # fmt: skip - one input
        await self._engine.start_in(
            tx.sql, PROMOTE, subject=moved[0].name, key=run, input=input, by=held.requester, id=run
        )
        return merged.state, (*merged.events, *moved[1])

    async def _target(
        self, tx: Store, held: Promotion, source: Application, target: Application | None, run: str
    ) -> tuple[Application, tuple[object, ...]]:
        """The Application of the Environment into which it leads, with the pin that comes."""
        if target is not None:
            decided = applications.change(target, source.pin, run, tx.now)
            return decided.state, decided.events
        wanted = Wanted(
            source.id, source.blueprint, source.pin_unwritten(), source.uses, source.aliases, source.is_backing
        )
        known = await tx.find(Application, held.environment, source.id, lock=True)
        decided = applications.install(
            known, wanted, held.environment, held.org, source.choices, uid=self._new_uid(), run=run, now=tx.now
        )
        return decided.state, decided.events


async def policy_of(tx: Store, environment: str, *, lock: bool = False) -> Policy:
    """The policy of an Environment."""
    held = await tx.find(Policy, environment, lock=lock)
    return held or promotions.unset(environment, tx.now)


def _there(one: Application | None) -> Application | None:
    return None if one is None or one.state is applications.State.DELETED else one
