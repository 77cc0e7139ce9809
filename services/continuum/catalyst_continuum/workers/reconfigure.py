"""Moving a slot's record to other cells: looks at both registers, does the step that follows, looks again.

It may die at any point and be begun anew, here or elsewhere: what it did stands in the registers, and nothing else matters.
Frozen, the slot is renewed by its holder until the record is buried; then the new configuration must be admitted before the
holder's authority is over, or it fences itself.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from catalyst_continuum.domain import reconfigure as moves
from catalyst_continuum.domain.lease import Refusal
from catalyst_continuum.domain.reconfigure import Seen, Step
from catalyst_continuum.domain.record import Lease

from .outcomes import Committed, Outcome, Refused, Unknown
from .register import Register

MOST = 40
"""Steps, of which a move takes five: more are renewals in between, and outcomes that were unknown."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The cells of a slot: under which name they have its record, and the register over them."""

    name: str
    register: Register


class Reconfiguration:
    """One slot's way from `old` to `new`.

    admit   makes the new configuration the slot's own, so that agents use it; done again it changes nothing
    """

    def __init__(
        self, slot: str, *, old: Configuration, new: Configuration, admit: Callable[[], Awaitable[None]],
        suspended: bool = False,
    ) -> None:  # fmt: skip
        self._slot = slot
        self._old = old
        self._new = new
        self._admit = admit
        self._suspended = suspended

    async def run(self, *, admitted: bool = False) -> Step | Refusal | Unknown:
        """DONE, or why it does not go on; UNKNOWN may be run again at once.

        admitted   whether the slot has the new configuration already
        """
        for _ in range(MOST):
            seen = await self._look(admitted)
            if isinstance(seen, Unknown):
                return seen
            step = moves.following(seen, self._new.name)
            if isinstance(step, Refusal) or step is Step.DONE:
                return step
            if step is Step.ADMIT:
                await self._admit()
                admitted = True
                continue
            outcome = await self._do(step, seen)
            if isinstance(outcome, Unknown):
                return outcome
        return Unknown("the slot was renewed or changed whenever it was to move")

    async def _look(self, admitted: bool) -> Seen | Unknown:
        old = await self._old.register.read(self._key(self._old))
        if isinstance(old, Unknown):
            return old
        new = await self._new.register.read(self._key(self._new))
        if isinstance(new, Unknown):
            return new
        return Seen(_record(old), _record(new), admitted, self._suspended)

    async def _do(self, step: Step, seen: Seen) -> Outcome:
        """A refusal says that something else came first, which the next look shows."""
        nonce, old, new = secrets.token_hex(4), self._old.register, self._new.register
        if step is Step.FREEZE:
            return await old.change(self._key(self._old), lambda lease: moves.frozen(lease, nonce))
        if step is Step.THAW:
            return await new.change(self._key(self._new), lambda lease: moves.thawed(lease, nonce))
        assert seen.old is not None
        last = seen.old
        if step is Step.COPY:
            return await new.change(self._key(self._new), lambda lease: moves.copied(lease, last))
        assert seen.new is not None
        copy = replace(seen.new)
        name = self._new.name
        return await old.change(self._key(self._old), lambda lease: moves.buried(lease, copy, name, nonce))

    def _key(self, configuration: Configuration) -> str:
        return moves.key_of(self._slot, configuration.name)


def _record(outcome: Committed | Refused) -> Lease | None:
    return outcome.lease
