"""Commands on one name in every order, by a clock that the test moves."""

from dataclasses import replace
from datetime import timedelta

from catalyst_pool_domain_manager.domain import allocations
from catalyst_pool_domain_manager.domain.allocations import COMMITTED, VISIBLE, Allocation, Reserve, State
from catalyst_pool_domain_manager.domain.conditions import Condition, false
from catalyst_pool_domain_manager.domain.refusals import NameTaken
from catalyst_sdk import Decision, Refused
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .makers import ACME, EVERY, NAME, NOON

OWNERS = st.sampled_from(["organizations/one", "organizations/two"])
TARGETS = st.sampled_from([(("default", "127.7.0.1"),), (("default", "127.7.0.2"),)])
REST = timedelta(hours=1)


class Names(RuleBasedStateMachine):
    """The model: who may hold the name now, by the rules as they are told to people."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.held: Allocation | None = None
        self.tokens: dict[str, str] = {}
        self.lives = 0
        self.versions: list[int] = []
        self.in_dns = False
        """Whether a step of the reconciler may have touched the DNS in this life."""

    def take(self, decision: Decision[Allocation]) -> None:
        self.versions += [fact.allocation.version for fact in decision.events]  # type: ignore[attr-defined]
        self.held = decision.state

    @rule(owner=OWNERS, minutes=st.integers(1, 20))
    def reserve(self, owner: str, minutes: int) -> None:
        before, self.lives = self.held, self.lives + 1
        token = f"{self.lives:064}"
        cmd: Reserve = replace(
            ACME, owner=owner, uid=f"uid-{self.lives}", ttl=timedelta(minutes=minutes), token_hash=token
        )
        try:
            self.take(allocations.reserve(before, cmd, self.now))
        except NameTaken:
            assert before is not None
            assert before.state is not State.FREE
            assert not before.is_over(self.now)
            return
        assert before is None or before.state in (State.FREE, State.RESERVED, State.QUARANTINED)
        if before and before.state is State.QUARANTINED and before.available_at and before.available_at > self.now:
            assert before.owner == owner
        self.tokens[cmd.uid] = token
        self.in_dns = False

    @rule(minutes=st.integers(0, 40))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(life=st.integers(1, 5), wish=TARGETS)
    def commit(self, life: int, wish: tuple[tuple[str, str], ...]) -> None:
        token = self.tokens.get(f"uid-{life}", "")
        before = self.held
        try:
            self.take(allocations.commit(before, NAME, token, wish, self.now))
        except Refused:
            return
        assert before is not None
        assert before.token_hash == token, "only its own token commits a name"
        assert before.state in COMMITTED or before.expires_at > self.now
        self.in_dns = True

    @rule(life=st.integers(1, 5))
    def renew(self, life: int) -> None:
        token = self.tokens.get(f"uid-{life}", "")
        try:
            self.take(allocations.renew(self.held, NAME, token, timedelta(minutes=10), self.now))
        except Refused:
            return

    @rule(wish=TARGETS)
    def retarget(self, wish: tuple[tuple[str, str], ...]) -> None:
        if self.held is not None and self.held.state in COMMITTED:
            self.take(allocations.retarget(self.held, wish, "somebody", self.now))

    @rule()
    def release(self) -> None:
        if self.held is not None and self.held.is_live(self.now):
            self.take(allocations.release(self.held, "enough", "somebody", self.now))

    @rule()
    def sweep(self) -> None:
        if self.held is not None:
            decision = allocations.sweep(self.held, self.now)
            if decision.state is not None:
                assert self.held.state in (State.RESERVED, State.QUARANTINED)
                self.take(Decision(decision.state, decision.events))

    @rule(works=st.booleans())
    def reconcile(self, works: bool) -> None:
        a = self.held
        if a is not None and a.state is State.PROVISIONING:
            why = false("ZoneReady", "ForeignZone", "somebody else's zone is there")
            self.take(allocations.activate(a, self.now, EVERY) if works else allocations.fail(a, why, self.now))
        elif a is not None and a.state is State.RELEASING and works:
            self.take(allocations.quarantine(a, REST, self.now))

    @rule(verdict=st.sampled_from(["True", "False", "Unknown"]))
    def look(self, verdict: str) -> None:
        if self.held is not None and self.held.state in VISIBLE:
            found = (Condition("ZoneReady", verdict, "Looked", "somebody looked"),)
            self.take(allocations.looked(self.held, found, self.now, EVERY))

    @rule()
    def hurry(self) -> None:
        if self.held is not None and self.held.is_live(self.now):
            self.take(allocations.hurry(self.held, "somebody", self.now))

    @rule(in_use=st.booleans())
    def look_at_rest(self, in_use: bool) -> None:
        a = self.held
        if a is not None and a.state is State.QUARANTINED and a.is_live(self.now):
            self.take(allocations.rested(a, self.now, in_use=in_use, rest=REST))

    @invariant()
    def no_gap(self) -> None:
        assert self.versions == list(range(1, len(self.versions) + 1))

    @invariant()
    def never_half(self) -> None:
        if self.in_dns and self.held is not None:
            assert self.held.state is not State.RESERVED
        if self.held is not None and self.held.state is State.FREE:
            self.in_dns = False

    @invariant()
    def active_means_the_newest_wish(self) -> None:
        if self.held is not None and self.held.state is State.ACTIVE:
            assert self.held.observed_generation == self.held.generation


Names.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNames = Names.TestCase
