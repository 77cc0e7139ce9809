"""Scenario 3: the sweeper against whoever reserves the name again at the instant of its expiry.

Each is a transaction: it reads the row with its version, decides, and writes only if that version still stands; else it
decides anew. Every order of these steps is played, many of them with a reconciler and a renewal in between.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations

from catalyst_pool_domain_manager.domain import allocations
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.refusals import NameTaken
from catalyst_sdk import Refused
from hypothesis import given, settings
from hypothesis import strategies as st

from .makers import ACME, NAME, NOON, RIVAL, TOKEN

INSTANT = NOON + ACME.ttl
MANY = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 400


@dataclass
class Row:
    """The one row of the name, and what was done to a zone of it."""

    held: Allocation
    touched: list[str] = field(default_factory=list)
    lives: list[str] = field(default_factory=list)

    def write(self, read: Allocation, after: Allocation) -> bool:
        """Whether the version that was read still stood there."""
        if self.held.version != read.version:
            return False
        self.held = after
        return True


def sweeper(row: Row) -> Iterator[None]:
    while True:
        read = row.held
        yield
        swept = allocations.sweep(read, INSTANT).state
        yield
        if swept is None or row.write(read, swept):
            return


def rival(row: Row) -> Iterator[None]:
    while True:
        read = row.held
        yield
        try:
            retired = allocations.sweep(read, INSTANT).state or read
            given = allocations.reserve(retired, RIVAL, INSTANT).state
        except NameTaken:
            return
        yield
        if row.write(read, given):
            row.lives.append(given.uid)
            return


def renewer(row: Row) -> Iterator[None]:
    while True:
        read = row.held
        yield
        try:
            # It asks a moment before its time is over, and may be written after it.
            after = allocations.renew(
                read, NAME, TOKEN, timedelta(minutes=10), INSTANT - timedelta(microseconds=1)
            ).state
        except Refused:
            return
        yield
        if row.write(read, after):
            return


def reconciler(row: Row) -> Iterator[None]:
    """Takes a zone away where the row says so, by the mark of the life that it read."""
    for _ in range(2):
        read = row.held
        yield
        if read.state is State.RELEASING and row.held.version == read.version:
            row.touched.append(read.mark)
        yield


def play(order: list[int], row: Row, *who: Iterator[None]) -> None:
    steps = list(who)
    for n in order:
        next(steps[n % len(steps)], None)
    for one in steps:  # whoever is left goes on to the end
        for _ in one:
            pass


def check(row: Row) -> None:
    assert len(row.lives) <= 1
    if row.held.state is State.RESERVED:
        assert row.held.mark not in row.touched, "no live reservation's zone is touched"
    if row.lives:
        assert (row.held.uid, row.held.state) == (row.lives[0], State.RESERVED)
    else:
        assert row.held.state in (State.FREE, State.RESERVED, State.RELEASING)


def start(*, warm: bool) -> Row:
    return Row(allocations.reserve(None, replace(ACME, warm=warm), NOON).state)


def test_scenario_3_in_every_order_of_two_transactions_the_rival_has_the_name_and_the_sweeper_takes_none_of_it() -> (
    None
):
    for order in set(permutations([0, 0, 0, 1, 1, 1])):
        row = start(warm=False)
        play(list(order), row, sweeper(row), rival(row))
        check(row)
        assert row.lives == [RIVAL.uid]


@settings(max_examples=MANY, deadline=None)
@given(order=st.lists(st.integers(0, 3), max_size=24), warm=st.booleans())
def test_scenario_3_no_interleaving_touches_the_zone_of_who_holds_the_name(order: list[int], warm: bool) -> None:
    row = start(warm=warm)
    play(order, row, sweeper(row), rival(row), renewer(row), reconciler(row))
    check(row)
