"""Commands on one delegation in every order, by a clock that the test moves and a parent that it writes."""

from datetime import timedelta

import pytest
from catalyst_pool_domain_manager.domain import conditions, delegations
from catalyst_pool_domain_manager.domain.delegations import (
    LEAST_RETENTION,
    MOST_MISSES,
    WINDOW,
    Delegation,
    DelegationMoving,
    ForeignKey,
    Parent,
    State,
    WindowClosed,
)
from catalyst_sdk import Refused
from catalyst_sdk.registrar import DsRecord, Target
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .makers import NOON

OLD_DS, NEW_DS = DsRecord(1, 13, 2, "aa"), DsRecord(2, 13, 2, "bb")
OLD = Target(("ns1.old.test.", "ns2.old.test."), (OLD_DS,))
NEW = Target(("ns1.new.test.", "ns2.new.test."), (NEW_DS,))
HOSTS = NEW.ns
AN_HOUR = timedelta(hours=1)


def fresh() -> Delegation:
    return delegations.none_yet("acme.example", "uid", "organizations/acme", NOON)


class Moves(RuleBasedStateMachine):
    """The model: what the parent shows, and what it showed before we wrote there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.d = fresh()
        self.shown = OLD
        self.before: Target | None = None
        """What our first write of this plan has replaced."""
        self.versions: list[int] = []
        self.runs = 0
        self.flipped_at = NOON

    def take(self, after: Delegation) -> None:
        assert after.version in (self.d.version, self.d.version + 1)
        assert (after.version == self.d.version) == (after is self.d)
        self.d = after

    def tell(self, decision: object) -> None:
        self.versions += [f.delegation.version for f in decision.events]  # type: ignore[attr-defined]
        self.take(decision.state)  # type: ignore[attr-defined]

    @rule()
    def plan(self) -> None:
        try:
            self.tell(
                delegations.plan(
                    self.d, plan="p", until=self.now + AN_HOUR, parent=Parent.REGISTRAR, account="", now=self.now
                )
            )
        except DelegationMoving:
            assert self.d.run, "only what moves is not planned anew"

    @rule()
    def begin(self) -> None:
        self.runs += 1
        try:
            self.take(
                delegations.begin(
                    self.d, plan=f"p{self.runs}", parent=Parent.REGISTRAR, account="", target=NEW,
                    run=f"flip-{self.runs}", now=self.now,
                )
            )  # fmt: skip
        except DelegationMoving:
            assert self.d.run
        else:
            self.before = None

    @rule()
    def stage(self) -> None:
        if self.d.run.startswith("flip"):
            self.take(delegations.staged(self.d, self.now))

    @rule()
    def snapshot(self) -> None:
        try:
            self.take(delegations.snapshotted(self.d, self.shown, "etag", self.now))
        except DelegationMoving:
            assert self.d.state is not State.STAGED

    @rule(part=st.sampled_from(["ds", "ns"]))
    def write(self, part: str) -> None:
        """A step of the flip writes at the parent, if it may."""
        try:
            delegations.demand_writable(self.d)
            if part == "ns":
                delegations.demand_own_keys(self.d.name, self.shown.ds, NEW.ds)
        except (DelegationMoving, ForeignKey):
            return
        self.before = self.before or self.shown
        self.shown = Target(self.shown.ns, ()) if part == "ds" else Target(NEW.ns, self.shown.ds)

    @rule(hours=st.integers(0, 100))
    def flip(self, hours: int) -> None:
        if self.shown.ns == NEW.ns:
            self.flipped_at = self.now if self.d.state is State.FLIPPING else self.flipped_at
            self.tell(delegations.flipped(self.d, (), lifetime=timedelta(hours=hours), now=self.now))

    @rule(failed=st.sets(st.sampled_from(HOSTS)))
    def probe(self, failed: set[str]) -> None:
        if self.d.state is State.WATCHING:
            counted = {host: self.d.misses.get(host, 0) + 1 for host in failed}
            self.take(delegations.probed(self.d, frozenset(failed), HOSTS, self.now))
            assert self.d.misses == counted, "who answers once has missed nothing"
            assert set(delegations.dead(self.d)) == {h for h, n in counted.items() if n >= MOST_MISSES}

    @rule()
    def confirm(self) -> None:
        self.tell(delegations.confirmed(self.d, (), (), self.now))

    @rule(automatic=st.booleans())
    def roll_back(self, automatic: bool) -> None:
        self.runs += 1
        is_open = self.d.rollback_until is not None and self.now < self.d.rollback_until
        try:
            self.take(
                delegations.roll_back(self.d, reason="test", automatic=automatic, run=f"back-{self.runs}", now=self.now)
            )
        except WindowClosed:
            assert not (is_open and self.d.state in (State.FLIPPING, State.WATCHING, State.DELEGATED))
            return
        assert is_open or self.d.state is State.ROLLING_BACK

    @rule()
    def give_back(self) -> None:
        if self.d.state is State.ROLLING_BACK:
            assert self.d.snapshot is not None
            self.shown = self.d.snapshot.records
            self.tell(delegations.rolled_back(self.d, (), self.now))
            self.before = None

    @rule()
    def land(self) -> None:
        """What the registrar was asked for long ago shows after all was taken back."""
        if self.d.state is State.ROLLED_BACK:
            self.shown = Target(NEW.ns, ())

    @rule()
    def take_back_again(self) -> None:
        self.runs += 1
        may = self.d.state in (State.ROLLED_BACK, State.ROLLING_BACK)
        try:
            self.take(
                delegations.take_back_again(
                    self.d, NEW, reason="late", automatic=True, run=f"back-{self.runs}", now=self.now
                )
            )
        except WindowClosed:
            assert not may
        else:
            assert may, "only what was taken back goes back again"

    @rule()
    def keep_after_all(self) -> None:
        may = self.d.state is State.ROLLED_BACK
        try:
            self.tell(delegations.kept_after_all(self.d, Target(NEW.ns), self.now))
        except WindowClosed:
            assert not may
        else:
            assert may, "only what was taken back is kept after all"
            assert self.d.can_go_back(self.now), "what was kept can be taken back yet"

    @rule()
    def fail(self) -> None:
        if self.d.run and self.d.state not in (State.FLIPPING, State.WATCHING):
            self.take(delegations.failed(self.d, conditions.false("Delegated", "X", "x"), self.now))

    @rule()
    def close(self) -> None:
        try:
            self.take(delegations.close(self.d, "", self.now))
        except DelegationMoving:
            assert self.d.run, "what moves can be taken back"
            return
        assert not self.d.can_go_back(self.now)

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @invariant()
    def snapshot_first(self) -> None:
        if self.before is not None:
            assert self.d.snapshot is not None
            assert self.d.snapshot.records == self.before

    @invariant()
    def no_foreign_key(self) -> None:
        assert not (self.shown.ns == NEW.ns and OLD_DS in self.shown.ds)

    @invariant()
    def a_way_back(self) -> None:
        if self.d.state is State.WATCHING and self.d.rollback_until is not None:
            assert self.d.can_go_back(self.now) == (self.now < self.d.rollback_until <= self.flipped_at + WINDOW)
            assert self.d.retain_until is not None
            assert self.d.retain_until >= self.flipped_at + LEAST_RETENTION

    @invariant()
    def one_at_a_time(self) -> None:
        moves = self.d.state in (State.STAGED, State.FLIPPING, State.WATCHING, State.ROLLING_BACK)
        assert bool(self.d.run) or not moves

    @invariant()
    def versions_grow(self) -> None:
        assert self.versions == sorted(set(self.versions))


Moves.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMoves = Moves.TestCase


def test_an_hour_ends_a_plan_and_the_delegation_stands_where_it_stood() -> None:
    d = delegations.plan(
        fresh(), plan="p", until=NOON + AN_HOUR, parent=Parent.MANUAL, account="", now=NOON
    ).state  # fmt: skip
    assert (d.state_at(NOON), d.state_at(NOON + AN_HOUR)) == (State.PLANNED, State.NONE)


def test_a_way_back_is_open_for_seven_days_even_while_another_plan_stands() -> None:
    d = delegations.begin(
        fresh(), plan="p", parent=Parent.MANUAL, account="", target=NEW, run="r", now=NOON
    )  # fmt: skip
    d = delegations.snapshotted(delegations.staged(d, NOON), OLD, "e", NOON)
    d = delegations.flipped(d, (), lifetime=timedelta(hours=1), now=NOON).state
    assert d.retain_until == NOON + LEAST_RETENTION
    d = delegations.confirmed(d, (), (), NOON).state
    d = delegations.plan(
        d, plan="q", until=NOON + AN_HOUR, parent=Parent.MANUAL, account="", now=NOON
    ).state  # fmt: skip
    assert d.can_go_back(NOON + WINDOW - timedelta(seconds=1))
    with pytest.raises(WindowClosed, match="its window is closed"):
        delegations.roll_back(d, reason="x", automatic=False, run="b", now=NOON + WINDOW)


def test_name_servers_do_not_change_under_a_key_that_they_do_not_have() -> None:
    with pytest.raises(ForeignKey, match="has DS 1 at the parent"):
        delegations.demand_own_keys("zones/acme.example/delegation", OLD.ds, NEW.ds)
    delegations.demand_own_keys("zones/acme.example/delegation", NEW.ds, NEW.ds)


def test_what_was_read_before_somebody_else_wrote_is_refused() -> None:
    d = delegations.tasked(fresh(), "task", NOON)
    with pytest.raises(Refused, match="changed meanwhile"):
        delegations.close(d, '"0"', NOON)
