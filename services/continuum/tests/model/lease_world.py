"""Two regions, one linearizable record, one name: production's operations, deadlines and updates under clocks that differ.

The register is one step here, as `register_world` shows that it may be; between the sending of an operation, its effect, and the
hearing of its answer any time may pass. Real time is in whole ticks; each region's clock runs at a rate of its own.

Invariants
  I1  OneAuthority   the times in which regions write, a fence's duration included, never overlap;
  I2  EpochUnique    an epoch has one holder for ever, and epochs only grow;
  I3  EffectMonotone the name never goes back to a lower epoch.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

from .explorer import Move

REGIONS = ("sb-east-mgt-prod", "sb-west-mgt-prod")
TTL, FENCE, DRIFT = 5.5, 1.0, 0.1
RATES = ((0.9, 1.1), (1.1, 0.9), (1.0, 1.0), (0.9, 0.9), (1.1, 1.1))


@dataclass(frozen=True)
class Asked:
    """An operation under way: not yet done, or done and not yet heard of."""

    kind: str
    sent: Any
    args: tuple[Any, ...] = ()
    is_done: bool = False
    result: Any = None


@dataclass(frozen=True)
class Agent:
    """A region's agent, and the writers that it controls: they write from `begins` until `ends`, in real time."""

    authority: Any = None
    watch: Any = None
    seen: Any = None
    """The record as last looked at."""
    asked: Asked | None = None
    begins: float = 0.0
    ends: float = 0.0
    offset: float = 0.0
    """Of the time of day."""


@dataclass(frozen=True)
class State:
    agents: tuple[Agent, ...]
    now: int = 0
    lease: Any = None
    late: tuple[tuple[int, Asked, Any], ...] = ()
    """Operations whose sender does not wait any more, each with the record that it was made from."""
    mark: str | None = None
    updates: tuple[tuple[tuple[str, ...] | None, str], ...] = ()
    """On their way: the mark that each needs, and the one that it makes."""
    holders: tuple[tuple[int, str], ...] = ()
    nonces: int = 0
    renewals: int = 3
    faults: int = 1
    jumps: int = 1
    crashes: int = 1
    writes: int = 2
    broken: str = ""


class LeaseWorld:
    """domain: production's package, or a copy with a bug in it. rates: of the clocks, by region."""

    def __init__(
        self, domain: Mapping[str, ModuleType], rates: tuple[float, float], until: int = 14, **first: int
    ) -> None:
        self._d = domain
        self._rates = rates
        self._until = until
        self._first = first
        self._profile = domain["timing"].Profile(TTL, 1, 0.5, FENCE, drift=DRIFT)

    def first(self) -> State:
        """The first region holds the slot, and its renewal was just heard."""
        lease = self._d["lease"].bootstrap(None, self._me(0, 0))
        holder = self._granted(Agent(), lease, self._clock(State((Agent(), Agent())), 0), 0, 0)
        return State((holder, Agent()), lease=lease, holders=((1, REGIONS[0]),), **self._first)

    def broken(self, state: State) -> str:
        return state.broken

    def key(self, state: State) -> Hashable:
        return state

    def moves(self, state: State) -> Iterator[Move[State]]:
        if state.now < self._until:
            yield Move("time passes", partial(replace, state, now=state.now + 1))
        for n, agent in enumerate(state.agents):
            for move in self._of(state, n, agent):
                yield replace(move, what=REGIONS[n][3:7])
        for at in range(len(state.late)):
            yield Move("a late operation arrives", partial(self._late, state, at))
        for at, update in enumerate(state.updates):
            yield Move("reaches the name server", partial(self._named, state, at), update)

    def _of(self, state: State, n: int, agent: Agent) -> Iterator[Move[State]]:
        now = self._clock(state, n)
        if agent.asked is None:
            yield from self._wishes(state, n, agent, now)
        elif agent.asked.is_done:
            yield Move(f"hears of its {agent.asked.kind}", partial(self._hear, state, n))
        else:
            yield Move(f"{agent.asked.kind} is done", partial(self._done, state, n))
            if state.faults:
                yield Move(f"gives its {agent.asked.kind} up", partial(self._give_up, state, n))
        if state.writes and agent.authority is not None and agent.authority.allows(now):
            yield Move("sends an update of the name", partial(self._update, state, n))
        if state.jumps:
            yield Move("sees the time of day jump", partial(self._jump, state, n))
        if state.crashes and (agent.authority is not None or agent.asked is not None):
            yield Move("crashes", partial(self._crash, state, n))

    def _wishes(self, state: State, n: int, agent: Agent, now: Any) -> Iterator[Move[State]]:
        states = self._d["record"].State
        if agent.seen != state.lease:
            yield Move("looks", partial(self._look, state, n))
        if agent.authority is not None:
            if state.renewals:
                yield Move("renews", partial(self._ask, state, n, "renew", agent.authority.epoch))
            yield Move("gives back", partial(self._ask, state, n, "release", agent.authority.epoch, False))
            yield Move("fences and gives back", partial(self._fence, state, n))
        elif agent.seen is not None:
            if agent.seen.holder == REGIONS[n] and state.renewals:
                yield Move("renews", partial(self._ask, state, n, "renew", agent.seen.epoch))
            if agent.seen.state is states.FREE:
                yield Move("acquires", partial(self._ask, state, n, "acquire"))
            elif agent.seen.holder != REGIONS[n] and agent.watch.is_over(now):
                yield Move("steals", partial(self._ask, state, n, "steal", agent.watch.epoch, agent.watch.seq))

    def _clock(self, state: State, n: int) -> Any:
        shown = self._rates[n] * state.now
        return self._d["authority"].Moment(shown, shown + state.agents[n].offset)

    def _me(self, n: int, nonce: int) -> Any:
        return self._d["lease"].Me(REGIONS[n], int(TTL * 1000), f"{nonce:08x}")

    def _ask(self, state: State, n: int, kind: str, *args: Any) -> State:
        asked = Asked(kind, self._clock(state, n), args)
        return _with(
            replace(state, renewals=state.renewals - (kind == "renew")), n, replace(state.agents[n], asked=asked)
        )

    def _apply(self, state: State, n: int, asked: Asked) -> tuple[State, Any]:
        operations, me = self._d["lease"], self._me(n, state.nonces + 1)
        if asked.kind == "renew":
            after = operations.renew(state.lease, me, asked.args[0])
        elif asked.kind == "release":
            after = operations.release(state.lease, me, asked.args[0], operations.NO_WRITERS if asked.args[1] else None)
        elif asked.kind == "acquire":
            after = operations.acquire(state.lease, me)
        else:
            after = operations.steal(state.lease, me, epoch=asked.args[0], seq=asked.args[1])
        if isinstance(after, operations.Refusal):
            return state, after
        moved = replace(state, lease=after, nonces=state.nonces + 1)
        if after.holder:
            held = dict(state.holders)
            if held.setdefault(after.epoch, after.holder) != after.holder or after.epoch < state.lease.epoch:
                moved = replace(moved, broken=f"I2: epoch {after.epoch} of {after.holder} was {held[after.epoch]}'s")
            moved = replace(moved, holders=tuple(sorted(held.items())))
        return moved, after

    def _done(self, state: State, n: int) -> State:
        asked = state.agents[n].asked
        assert asked is not None
        state, result = self._apply(state, n, asked)
        return _with(state, n, replace(state.agents[n], asked=replace(asked, is_done=True, result=result)))

    def _give_up(self, state: State, n: int) -> State:
        agent = state.agents[n]
        assert agent.asked is not None
        late = (*state.late, (n, agent.asked, state.lease))
        return _with(replace(state, late=late, faults=state.faults - 1), n, replace(agent, asked=None))

    def _late(self, state: State, at: int) -> State:
        """What a register may still commit is one value, made from one record: once another follows on that, it is dead."""
        n, asked, before = state.late[at]
        rest = replace(state, late=state.late[:at] + state.late[at + 1 :])
        return self._apply(rest, n, asked)[0] if state.lease == before else rest

    def _hear(self, state: State, n: int) -> State:
        agent, operations = state.agents[n], self._d["lease"]
        asked = agent.asked
        assert asked is not None
        agent = replace(agent, asked=None)
        if isinstance(asked.result, operations.Refusal):
            lost = replace(agent, authority=None, ends=min(agent.ends, state.now + FENCE))
            return _with(state, n, lost)
        if asked.kind == "release":
            return _with(state, n, replace(agent, authority=None, seen=asked.result))
        agent = replace(agent, seen=asked.result)
        return self._judged(_with(state, n, self._granted(agent, asked.result, asked.sent, n, state.now)))

    def _granted(self, agent: Agent, lease: Any, sent: Any, n: int, now: int) -> Agent:
        """The writers write until the authority is over by this region's clock, and a fence has run its whole budget."""
        shown = self._rates[n] * now
        moment = self._d["authority"].Moment(shown, shown + agent.offset)
        authority = self._d["authority"].granted(lease, sent, moment, self._profile)
        if not authority.allows(moment):
            return replace(agent, authority=None)
        begins = agent.begins if agent.ends >= now else now
        return replace(agent, authority=authority, begins=begins, ends=authority.until / self._rates[n] + FENCE)

    def _judged(self, state: State) -> State:
        one, other = state.agents
        if one.ends and other.ends and max(one.begins, other.begins) < min(one.ends, other.ends) - 1e-9:
            return replace(
                state, broken=f"I1: both write, {one.begins}..{one.ends:.1f}, {other.begins}..{other.ends:.1f}"
            )
        return state

    def _fence(self, state: State, n: int) -> State:
        """Stop the writers, at once; then the slot may be given away."""
        agent = replace(state.agents[n], ends=min(state.agents[n].ends, state.now))
        assert agent.authority is not None
        epoch = agent.authority.epoch
        return self._ask(_with(state, n, replace(agent, authority=None)), n, "release", epoch, True)

    def _look(self, state: State, n: int) -> State:
        watch = self._d["authority"].watched(state.agents[n].watch, state.lease, self._clock(state, n))
        return _with(state, n, replace(state.agents[n], seen=state.lease, watch=watch))

    def _update(self, state: State, n: int) -> State:
        epoch = state.agents[n].authority.epoch
        traffic = self._d["traffic"]
        seen = traffic.Seen((state.mark,) if state.mark else ())
        update = traffic.move(seen, epoch, REGIONS[n], traffic.addressed([f"192.0.2.{n + 1}"], 10))
        sent = (*state.updates, (update.only_if, str(update.mark))) if hasattr(update, "mark") else state.updates
        return replace(state, updates=sent, writes=state.writes - 1)

    def _named(self, state: State, at: int) -> State:
        (only_if, mark), rest = state.updates[at], state.updates[:at] + state.updates[at + 1 :]
        stands = () if state.mark is None else (state.mark,)
        if only_if is not None and only_if != stands:
            return replace(state, updates=rest)
        if state.mark is not None and _epoch(mark) < _epoch(state.mark):
            return replace(state, broken=f"I3: the name goes from {state.mark} to {mark}")
        return replace(state, updates=rest, mark=mark)

    def _jump(self, state: State, n: int) -> State:
        return _with(
            replace(state, jumps=state.jumps - 1), n, replace(state.agents[n], offset=state.agents[n].offset + 60)
        )

    def _crash(self, state: State, n: int) -> State:
        """The writers go on until the dead man's switch: no longer than the authority and a fence."""
        agent = state.agents[n]
        late = (*state.late, (n, agent.asked, state.lease)) if agent.asked and not agent.asked.is_done else state.late
        again = Agent(begins=agent.begins, ends=agent.ends, offset=agent.offset)
        return _with(replace(state, late=late, crashes=state.crashes - 1), n, again)


def _with(state: State, n: int, agent: Agent) -> State:
    return replace(state, agents=(*state.agents[:n], agent, *state.agents[n + 1 :]))


def _epoch(mark: str) -> int:
    return int(mark.split()[0].removeprefix("e="))
