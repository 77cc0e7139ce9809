"""Two agents over three cells and a network that does what it likes, by production's reducers alone; drawn by Hypothesis.

Messages are shuffled, dropped and doubled, answers too; agents crash, each has a clock of its own rate; cells lose their memory;
the slot is frozen and thawed; the holder asks for promises and lives on them. There is no wait and no clock of the machine.

Invariants, looked at after each rule: I1 OneAuthority, I2 EpochUnique, I9 FrozenInert; at the end I7 LinearizableRegister.
HYPOTHESIS_PROFILE=long takes 100,000 steps.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from catalyst_continuum.domain import authority as times
from catalyst_continuum.domain import ballot, failsafe, lease
from catalyst_continuum.domain import register as rounds
from catalyst_continuum.domain.authority import Authority, Moment, Watch
from catalyst_continuum.domain.ballot import UNWRITTEN, Acceptor
from catalyst_continuum.domain.lease import NO_WRITERS, Me, Refusal
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.register import Heard, Read, Round, Send, Shown, Silent, Told, Verdict
from catalyst_continuum.domain.timing import Profile
from catalyst_sdk.witness import Swap
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .linearizable import Operation, is_linearizable

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
REGIONS = ("sb-east-mgt-prod", "sb-west-mgt-prod")
CELLS = ("x", "y", "z")
PROFILE = Profile(5.5, 1, 0.5, 1.0, drift=0.1)
CLAIMS = ("acquire", "steal")
NEVER = Moment(0, 0)
ASKED = ("look", "claim", "claim", "claim", "renew", "renew", "look", "release", "freeze", "thaw")


@dataclass
class Agent:
    """A region's agent. What stands below `floor` is lost in a crash; `ends` is real: its writers write until then."""

    region: str
    rate: float
    floor: dict[str, Acceptor] = field(default_factory=dict)
    life: int = 0
    begins: float = 0.0
    ends: float = 0.0
    started_at: float = 0.0
    round: Round | None = None
    last: Round | None = None
    highest: int = 0
    serial: int = 0
    kind: str = ""
    operation: Callable[[Lease | None], Lease | Refusal] = lambda _: Refusal("")
    sent: Moment = NEVER
    begun: int = 0
    nonce: str = ""
    found: str = ""
    watch: Watch | None = None
    seen: Lease | None = None
    authority: Authority | None = None
    granted: Authority | None = None
    """Found under a promise of its own: it counts once that is over."""
    promise: failsafe.Promise | None = None
    unknown: bool = False
    """Whether a claim ended unknown, and the record was not read since."""

    def peer(self) -> failsafe.Peer:
        claims = self.unknown or self.granted is not None or (self.round is not None and self.kind in CLAIMS)
        return failsafe.Peer(self.seen.epoch if self.seen else 0, claims, self.started_at, self.promise)


@dataclass(frozen=True)
class Message:
    """Under way to a cell, or back; `serial` names the round that waits for it."""

    agent: int
    serial: int
    send: Send | None = None
    heard: Heard | None = None
    is_copy: bool = False


class Network(RuleBasedStateMachine):
    """The world."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[str, bytes | None] = dict.fromkeys(CELLS)
        self.agents = [Agent(region, 1.0) for region in REGIONS]
        self.queue: list[Message] = []
        self.real = 0.0
        self.tick = 0
        self.holders: dict[int, str] = {}
        self.newest: Lease | None = None
        self.history: list[Operation] = []
        self.intervals: list[tuple[int, float, float]] = []

    @initialize(rates=st.sampled_from([(0.9, 1.1), (1.1, 0.9), (1.0, 1.0), (0.9, 0.9)]))
    def clocks(self, rates: tuple[float, float]) -> None:
        for agent, rate in zip(self.agents, rates, strict=True):
            agent.rate = rate
        self._begin(0, "bootstrap")
        while self.queue:
            self._move(0)

    @rule(by=st.sampled_from([0.25, 1.0, 3.0, 6.5]))
    def time_passes(self, by: float) -> None:
        self.real += by
        for n in range(len(self.agents)):
            self._take_up(n)

    @rule(
        n=st.integers(0, 1),
        kind=st.sampled_from(ASKED),
    )
    def asks(self, n: int, kind: str) -> None:
        agent = self.agents[n]
        if agent.round is None and (kind := self._wish(agent, kind)):
            self._begin(n, kind)

    @rule(n=st.integers(0, 1))
    def claims_after_silence(self, n: int) -> None:
        """What an outage comes to: a look that arrives, a silence, a claim."""
        agent = self.agents[n]
        for kind, silence in (("look", 0.0), ("claim", 6.5)):
            self.time_passes(silence)
            if agent.round is None and (wish := self._wish(agent, kind)):
                self._begin(n, wish)
                self.arrive(0, 20)

    @precondition(lambda self: self.queue)
    @rule(at=st.integers(0, 99), more=st.integers(1, 20))
    def arrive(self, at: int, more: int) -> None:
        for _ in range(more):
            if self.queue:
                self._move(at % len(self.queue))

    @precondition(lambda self: self.queue)
    @rule(at=st.integers(0, 99))
    def is_lost(self, at: int) -> None:
        """Who waits for it gives it up; a write whose answer is lost was done all the same."""
        message = self.queue.pop(at % len(self.queue))
        if message.is_copy:
            return
        send = message.send
        if send is not None:
            self._hear(message, Silent(send.cell) if isinstance(send, Read) else Told(send.cell, Swap.UNKNOWN))
        elif isinstance(message.heard, Shown | Silent):
            self._hear(message, Silent(message.heard.cell))
        elif message.heard is not None:
            self._hear(message, Told(message.heard.cell, Swap.UNKNOWN))

    @precondition(lambda self: self.queue)
    @rule(at=st.integers(0, 99))
    def is_doubled(self, at: int) -> None:
        message = self.queue[at % len(self.queue)]
        if message.send is not None and len(self.queue) < 20:
            self.queue.append(Message(message.agent, message.serial, message.send, is_copy=True))

    @rule(n=st.integers(0, 1))
    def crashes(self, n: int) -> None:
        """Its writers go on until the dead man's switch: no longer than the authority and a fence."""
        old = self.agents[n]
        self._ended(old, None)
        new = Agent(old.region, old.rate, old.floor, old.life + 1, old.begins, old.ends, self._clock(old).boot)
        new.serial = old.serial + 1
        self.agents[n] = new

    @rule(cell=st.sampled_from(CELLS))
    def forgets(self, cell: str) -> None:
        """A cell is wiped; both agents have seen what it held, and another was not wiped before."""
        held = ballot.read(self.cells[cell])
        known = all(not rounds.forgot(a.floor.get(cell, UNWRITTEN), held) for a in self.agents)
        others = all(
            not rounds.forgot(ballot.read(self.cells[c]), a.floor.get(c, UNWRITTEN)) for c in CELLS for a in self.agents
        )
        if known and others:
            self.cells[cell] = None

    @rule(n=st.integers(0, 1))
    def asks_to_hold_off(self, n: int) -> None:
        agent, other = self.agents[n], self.agents[1 - n]
        if agent.authority is None:
            return
        sent = self._clock(agent)
        promised = failsafe.hold_off(
            other.peer(), epoch=agent.authority.epoch, seconds=PROFILE.ttl, now=self._clock(other)
        )
        if promised is not None:
            other.promise = promised.promise
        longer = failsafe.extended(agent.authority, {other.region: promised is not None}, sent, PROFILE)
        if longer is not None and agent.authority.allows(sent):
            self._leads(n, longer)

    @invariant()
    def no_two_regions_write(self) -> None:
        for at, (n, begins, ends) in enumerate(self.intervals):
            for m, other_begins, other_ends in self.intervals[:at]:
                overlap = min(ends, other_ends) - max(begins, other_begins)
                assert n == m or overlap < 1e-9, f"I1: both write for {overlap}"

    def teardown(self) -> None:
        for agent in self.agents:
            self._ended(agent, None)
        assert is_linearizable(self.history), f"I7: {self.history}"

    def _clock(self, agent: Agent) -> Moment:
        return Moment(self.real * agent.rate, self.real)

    def _wish(self, agent: Agent, kind: str) -> str:
        """What this agent may ask for now; empty: nothing."""
        now, seen = self._clock(agent), agent.seen
        if kind == "renew":
            return kind if agent.authority is not None else ""
        if kind == "release":
            return kind if agent.authority is not None and agent.authority.allows(now) else ""
        if kind != "claim":
            return kind
        if seen is None or agent.unknown or now.boot < failsafe.may_claim_from(agent.peer(), longest=PROFILE.ttl):
            return ""
        if seen.state is State.FREE:
            return "acquire"
        is_over = agent.watch is not None and agent.watch.is_over(now) and seen.holder != agent.region
        return "steal" if is_over and seen.state is State.HELD else ""

    def _begin(self, n: int, kind: str) -> None:
        agent = self.agents[n]
        self.tick += 1
        agent.kind, agent.begun, agent.sent = kind, self.tick, self._clock(agent)
        agent.nonce = f"{self.tick:08x}"
        if kind == "release":
            agent.ends = self.real  # fenced, at once
            self.intervals = [(m, b, min(e, self.real) if m == n else e) for m, b, e in self.intervals]
            epoch = agent.authority.epoch if agent.authority else 0
            agent.authority = None
        else:
            epoch = agent.authority.epoch if agent.authority else 0
        agent.operation = self._operation(agent, kind, epoch)
        self._round(n)

    def _operation(self, agent: Agent, kind: str, epoch: int) -> Callable[[Lease | None], Lease | Refusal]:
        me, watch = Me(agent.region, int(PROFILE.ttl * 1000), agent.nonce), agent.watch
        made: dict[str, Callable[[Lease | None], Lease | Refusal]] = {
            "bootstrap": lambda at: lease.bootstrap(at, me),
            "renew": lambda at: lease.renew(at, me, epoch),
            "acquire": lambda at: lease.acquire(at, me),
            "steal": lambda at: lease.steal(at, me, epoch=watch.epoch, seq=watch.seq) if watch else Refusal("no watch"),
            "release": lambda at: lease.release(at, me, epoch, NO_WRITERS),
            "freeze": lambda at: lease.freeze(at, agent.nonce),
            "thaw": lambda at: lease.thaw(at, agent.nonce),
            "look": lambda at: Refusal("only looking"),
        }
        make = made[kind]

        def operation(at: Lease | None) -> Lease | Refusal:
            after = make(at)
            if not isinstance(after, Refusal):
                agent.found = at.nonce if at else ""
            return after

        return operation

    def _round(self, n: int) -> None:
        agent = self.agents[n]
        agent.serial += 1
        if agent.last is not None:
            agent.round, sends = rounds.go_on(agent.last, dict(agent.floor), agent.operation)
        else:
            name = f"{'ab'[n]}{agent.life}"
            agent.round, sends = rounds.ask(name, CELLS, agent.highest, dict(agent.floor))
        agent.last = None
        agent.highest = max(agent.highest, agent.round.number.counter)
        self._sent(n, sends)
        self._judge(n)

    def _sent(self, n: int, sends: Any) -> None:
        self.queue += [Message(n, self.agents[n].serial, send) for send in sends]

    def _move(self, at: int) -> None:
        message = self.queue.pop(at)
        if message.send is None:
            assert message.heard is not None
            self._hear(message, message.heard)
            return
        send, stands = message.send, self.cells[message.send.cell]
        if isinstance(send, Read):
            heard: Heard = Shown(send.cell, stands)
        elif stands == send.old:
            self.cells[send.cell] = send.new
            heard = Told(send.cell, Swap.APPLIED)
        else:
            heard = Told(send.cell, Swap.MISMATCH)
        if not message.is_copy:
            self.queue.append(Message(message.agent, message.serial, heard=heard))

    def _hear(self, message: Message, heard: Heard) -> None:
        agent = self.agents[message.agent]
        if agent.round is None or message.serial != agent.serial:
            return
        if isinstance(heard, Shown):
            shown = ballot.read(heard.raw)
        elif isinstance(heard, Told) and heard.swap is Swap.APPLIED:
            shown = ballot.read(agent.round.seats[heard.cell].sent)
        else:
            shown = UNWRITTEN
        agent.round, sends = rounds.hear(agent.round, heard, agent.operation)
        if not rounds.forgot(shown, agent.floor.get(heard.cell, UNWRITTEN)):
            agent.floor[heard.cell] = rounds.more(agent.floor.get(heard.cell, UNWRITTEN), shown)
        self._sent(message.agent, sends)
        self._judge(message.agent)

    def _judge(self, n: int) -> None:
        agent = self.agents[n]
        round_ = agent.round
        if round_ is None or round_.verdict is None:
            return
        agent.round, agent.highest = None, max(agent.highest, round_.highest)
        if round_.verdict is Verdict.COMMITTED:
            agent.last = round_ if len(round_.kept) >= round_.quorum else None
            assert round_.lease is not None
            self._stands(round_.lease)
            self._ended(agent, round_.lease)
            self._granted(n, round_.lease)
        elif round_.verdict is Verdict.REFUSED:
            self._ended(agent, round_.lease, refused=True)
            if agent.kind in ("renew", "release"):
                agent.authority = None
            self._saw(agent, round_.lease)
        else:
            self._ended(agent, None)
            agent.unknown = agent.unknown or agent.kind in CLAIMS

    def _ended(self, agent: Agent, at: Lease | None, *, refused: bool = False) -> None:
        """Write down what became of what was asked."""
        if not agent.kind or not agent.begun:
            return
        self.tick += 1
        if refused:
            self.history.append(Operation(agent.begun, self.tick, at.nonce if at else ""))
        elif at is not None:
            self.history.append(Operation(agent.begun, self.tick, at.nonce, True, agent.found))
        elif agent.kind != "look":
            self.history.append(Operation(agent.begun, None, agent.nonce, True))
        agent.begun = 0

    def _stands(self, record: Lease) -> None:
        if record.holder:
            holder = self.holders.setdefault(record.epoch, record.holder)
            assert holder == record.holder, f"I2: epoch {record.epoch} of {record.holder} was {holder}'s"
        before = self.newest
        if before is not None and before.state is State.FROZEN and record.seq == before.seq + 1:
            assert (record.epoch, record.holder) == (before.epoch, before.holder), f"I9: {before} became {record}"
        if before is None or record.seq > before.seq:
            self.newest = record

    def _saw(self, agent: Agent, record: Lease | None) -> None:
        if record is not None:
            agent.watch = times.watched(agent.watch, record, self._clock(agent))
            agent.seen, agent.unknown = record, False

    def _granted(self, n: int, record: Lease) -> None:
        agent = self.agents[n]
        self._saw(agent, record)
        if record.holder != agent.region or agent.kind not in ("bootstrap", "renew", *CLAIMS):
            return
        agent.granted = times.granted(record, agent.sent, self._clock(agent), PROFILE)
        self._take_up(n)

    def _take_up(self, n: int) -> None:
        """A grant under a promise of one's own waits for its end."""
        agent, now = self.agents[n], self._clock(self.agents[n])
        if agent.granted is None or (agent.promise is not None and now.boot < agent.promise.until):
            return
        granted, agent.granted = agent.granted, None
        if granted.allows(now):
            self._leads(n, granted)

    def _leads(self, n: int, granted: Authority) -> None:
        agent = self.agents[n]
        agent.begins = agent.begins if agent.ends >= self.real and agent.authority is not None else self.real
        agent.authority, agent.ends = granted, granted.until / agent.rate + PROFILE.fence
        mine = [i for i, (m, begins, _) in enumerate(self.intervals) if m == n and begins == agent.begins]
        for i in mine:
            self.intervals[i] = (n, agent.begins, max(agent.ends, self.intervals[i][2]))
        if not mine:
            self.intervals.append((n, agent.begins, agent.ends))


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=1_000 if LONG else 12, stateful_step_count=100, deadline=None)
