"""A slot whose record moves to other cells, while it is renewed, taken over, suspended and resumed, and who moves it dies.

Each register is one step here. Who moves the slot looks at both and then acts upon what it saw, however late; a crash is that it
never acts. Two of them at once want two configurations.

Invariants
  one life  of the records at most one is not frozen, and where a copy lives, the old one is buried;
  I2        an epoch has one holder, in whichever cells;
  forward   no record goes back: neither its number, nor what a holder was told that it holds.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

from .explorer import Move

REGIONS = ("sb-east-mgt-prod", "sb-west-mgt-prod")
CONFIGURATIONS = ("c2", "c3")


@dataclass(frozen=True)
class State:
    old: Any
    new: tuple[Any, ...] = (None, None)
    admitted: str = ""
    """Configuration of the resource."""
    suspended: bool = False
    plans: tuple[Any, ...] = (None, None)
    """What each mover saw, and will act upon."""
    holders: tuple[tuple[int, str], ...] = ((1, REGIONS[0]),)
    told: int = 1
    """Highest number of a record whose writer was told that it stands."""
    nonces: int = 1
    looks: int = 8
    works: int = 4
    broken: str = ""


class ReconfigureWorld:
    """domain: production's package, or a copy with a bug in it."""

    def __init__(self, domain: Mapping[str, ModuleType], movers: int = 2, **first: int) -> None:
        self._d = domain
        self._movers = movers
        self._first = first

    def first(self) -> State:
        lease = self._d["lease"].bootstrap(None, self._me(0, 1))
        return State(lease, **self._first)  # type: ignore[arg-type]

    def broken(self, state: State) -> str:
        return state.broken

    def key(self, state: State) -> Hashable:
        return state

    def moves(self, state: State) -> Iterator[Move[State]]:
        for n in range(self._movers):
            if state.plans[n] is None and state.looks:
                yield Move(f"mover {n + 1} looks", partial(self._look, state, n))
            if state.plans[n] is not None:
                yield Move(f"mover {n + 1} acts: {state.plans[n][0]}", partial(self._act, state, n))
                yield Move(f"mover {n + 1} dies", partial(self._plan, state, n, None))
        if state.works:
            yield from self._works(state)

    def _works(self, state: State) -> Iterator[Move[State]]:
        """What goes on meanwhile, with the record that the resource's configuration names."""
        operations, at = self._d["lease"], self._at(state)
        lease = self._record(state, at)
        rest = replace(state, works=state.works - 1)
        if lease is None:
            return
        for n, region in enumerate(REGIONS):
            me = self._me(n, state.nonces + 1)
            if lease.holder == region:
                yield Move(
                    f"{region[3:7]} renews", partial(self._wrote, rest, at, operations.renew(lease, me, lease.epoch))
                )
            else:
                stolen = operations.steal(lease, me, epoch=lease.epoch, seq=lease.seq)
                yield Move(f"{region[3:7]} steals", partial(self._wrote, rest, at, stolen))
        nonce = f"{state.nonces + 1:08x}"
        if state.suspended:
            thawed = operations.thaw(lease, nonce)
            yield Move("a person resumes it", partial(self._wrote, replace(rest, suspended=False), at, thawed))
        else:
            held = operations.freeze(lease, nonce)
            yield Move("a person suspends it", partial(self._wrote, replace(rest, suspended=True), at, held))

    def _me(self, n: int, nonce: int) -> Any:
        return self._d["lease"].Me(REGIONS[n], 10_000, f"{nonce:08x}")

    def _at(self, state: State) -> int:
        """Which register counts: -1 the old one."""
        return CONFIGURATIONS.index(state.admitted) if state.admitted else -1

    def _record(self, state: State, at: int) -> Any:
        return state.old if at < 0 else state.new[at]

    def _plan(self, state: State, n: int, plan: Any) -> State:
        return replace(state, plans=(*state.plans[:n], plan, *state.plans[n + 1 :]))

    def _look(self, state: State, n: int) -> State:
        moves, wanted = self._d["reconfigure"], CONFIGURATIONS[n]
        seen = moves.Seen(state.old, state.new[n], state.admitted == wanted, state.suspended)
        step = moves.following(seen, wanted)
        less = replace(state, looks=state.looks - 1)
        if isinstance(step, self._d["lease"].Refusal) or step is moves.Step.DONE:
            return less
        return self._plan(less, n, (step, seen))

    def _act(self, state: State, n: int) -> State:
        moves, (step, seen) = self._d["reconfigure"], state.plans[n]
        state, nonce = self._plan(state, n, None), f"{state.nonces + 1:08x}"
        if step == moves.Step.FREEZE:
            return self._wrote(state, -1, moves.frozen(state.old, nonce))
        if step == moves.Step.COPY:
            return self._wrote(state, n, moves.copied(state.new[n], seen.old), is_copy=True)
        if step == moves.Step.BURY:
            return self._wrote(state, -1, moves.buried(state.old, seen.new, CONFIGURATIONS[n], nonce))
        if step == moves.Step.ADMIT:
            return self._judged(replace(state, admitted=CONFIGURATIONS[n]))
        return self._wrote(state, n, moves.thawed(state.new[n], nonce))

    def _wrote(self, state: State, at: int, after: Any, *, is_copy: bool = False) -> State:
        if isinstance(after, self._d["lease"].Refusal):
            return state
        before = self._record(state, at)
        if before is not None and (after.seq <= before.seq or after.epoch < before.epoch):
            return replace(state, broken=f"forward: {before} becomes {after}")
        state = replace(state, nonces=state.nonces + 1)
        stands = {"old": after} if at < 0 else {"new": (*state.new[:at], after, *state.new[at + 1 :])}
        state = replace(state, **stands)
        if at >= 0 and not is_copy and after.state is not before.state and after.seq <= state.told:
            return replace(state, broken=f"forward: {after} lives, and number {state.told} was told already")
        if not is_copy and not self._d["reconfigure"].is_buried(after):
            state = replace(state, told=max(state.told, after.seq))
        held = dict(state.holders)
        if after.holder and held.setdefault(after.epoch, after.holder) != after.holder:
            return replace(state, broken=f"I2: epoch {after.epoch} of {after.holder} was {held[after.epoch]}'s")
        return self._judged(replace(state, holders=tuple(sorted(held.items()))))

    def _judged(self, state: State) -> State:
        frozen, buried = self._d["record"].State.FROZEN, self._d["reconfigure"].is_buried
        alive = [one for one in (state.old, *state.new) if one is not None and one.state is not frozen]
        if len(alive) > 1:
            return replace(state, broken=f"one life: {alive}")
        for n, one in enumerate(state.new):
            if one is None or one.state is frozen:
                continue
            if not (buried(state.old) and state.old.next == CONFIGURATIONS[n]):
                return replace(state, broken=f"one life: {one} while {state.old} is not buried for it")
        return state
