"""Begins the installation of a plan in a transaction of the caller: of an RPC, or of the worker that installs what was paid."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from catalyst_mesh import Clock
from catalyst_mesh.journal import Engine, new_id

from .domain import applications
from .domain.applications import Application, Wanted
from .domain.environments import Environment
from .steps import INSTALL
from .store import Store


class Installing:
    """Makes the Applications of a plan and the run that writes them; the engine is woken after the commit."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def begin(
        self, tx: Store, held: Environment, parts: Sequence[Wanted], choices: Mapping[str, str], *, by: str,
        order: str = "", validate_only: bool = False,
    ) -> tuple[tuple[Application, ...], tuple[object, ...]]:  # fmt: skip
        """The Applications, the one that was asked for last, and what is to be told of them. Raises ApplicationExists.

        order   the paid order for which that one is made; empty: none
        """
        run = new_id(self._clock.now())
        made: list[Application] = []
        facts: list[object] = []
        for one in parts:
            known = await tx.find(Application, held.id, one.id, lock=True)
            chosen = choices if one is parts[-1] else {}
            decided = applications.install(
                known, one, held.id, held.org, chosen, uid=str(uuid4()), run=run, now=tx.now,
                order=order if one is parts[-1] else "",
            )  # fmt: skip
            made.append(decided.state)
            facts += decided.events
        if not validate_only:
            await tx.save(tuple(made))
            input = {"organization": held.org, "environment": held.id, "applications": [one.id for one in made]}
            await self._engine.start_in(tx.sql, INSTALL, subject=made[-1].name, key=run, input=input, by=by, id=run)
        return tuple(made), tuple(facts)

    def wake(self) -> None:
        """After the commit."""
        self._engine.wake()
