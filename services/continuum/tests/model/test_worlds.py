"""Production's own reducers in worlds where anything may happen, and ten bugs that must be found there.

HYPOTHESIS_PROFILE=long goes through far more states, and 10,000 ways drawn by chance; a short run takes a sample.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from . import seeds
from .explorer import Found, explore, wander
from .lease_world import RATES, LeaseWorld
from .reconfigure_world import ReconfigureWorld
from .register_world import RegisterWorld

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
STATES = 400_000 if LONG else 1_500
WAYS = 10_000 if LONG else 60
Domain = Mapping[str, ModuleType]


def register_worlds(domain: Domain) -> dict[str, RegisterWorld]:
    """Small ones, each with the failures that its name says."""
    return {
        "two writers": RegisterWorld(domain, ("count",), ("count",)),
        "a writer and a reader, one message fails": RegisterWorld(domain, ("count",), ("look", "look"), faults=1),
        "two changes, a crash": RegisterWorld(domain, ("count", "count"), ("look",), faults=1, crashes=1),
        "a cell forgets": RegisterWorld(domain, ("count", "look"), faults=1, crashes=1, wipes=1),
        "a cell forgets and is admitted, then another forgets": RegisterWorld(
            domain, ("count", "admit", "count", "look"), wipes=2
        ),
        "five cells": RegisterWorld(domain, ("count",), ("look",), faults=1, cells=5),
    }


def busy(domain: Domain) -> RegisterWorld:
    """Too large to see all of it: for ways drawn by chance."""
    return RegisterWorld(
        domain, ("count",) * 3, ("count", "look", "count"), ("look", "count"), faults=6, crashes=2, tries=3
    )


def forgetful(domain: Domain) -> RegisterWorld:
    """One proposer over its restarts, and a cell that loses its memory: nobody else remembers."""
    return RegisterWorld(domain, ("count", "look", "admit", "count", "look"), faults=4, crashes=2, wipes=2, tries=1)


def set_back(domain: Domain) -> RegisterWorld:
    """A cell that shows what it once was: a snapshot of its disk was restored."""
    todo = ("count", "count", "look", "admit", "count", "look")
    return RegisterWorld(domain, todo, faults=1, wipes=1, backs=2, tries=1)


def lease_worlds(domain: Domain) -> dict[str, LeaseWorld]:
    """By the rates of the clocks."""
    return {f"rates {one} and {other}": LeaseWorld(domain, (one, other)) for one, other in RATES}


def moving(domain: Domain) -> ReconfigureWorld:
    """A slot that moves to other cells, by two who want different ones."""
    return ReconfigureWorld(domain)


PRODUCTION = seeds.as_it_is()


@pytest.mark.parametrize("name", register_worlds(PRODUCTION))
def test_no_state_of_the_register_is_broken(name: str) -> None:
    found = explore(register_worlds(PRODUCTION)[name], STATES)
    assert not found.broken, found


@pytest.mark.parametrize("name", lease_worlds(PRODUCTION))
def test_no_state_of_the_lease_is_broken(name: str) -> None:
    found = explore(lease_worlds(PRODUCTION)[name], STATES)
    assert not found.broken, found


def test_no_way_drawn_by_chance_breaks_the_register() -> None:
    for seed in range(WAYS):
        for world in (busy(PRODUCTION), forgetful(PRODUCTION), set_back(PRODUCTION)):
            found: Found[Any] = wander(world, seed, 300)
            assert not found.broken, found


def test_never_two_authorities_on_any_way_drawn_by_chance() -> None:
    worlds = list(lease_worlds(PRODUCTION).values())
    for seed in range(WAYS * 4):
        found = wander(worlds[seed % len(worlds)], seed, 60)
        assert not found.broken, found


@pytest.mark.parametrize("movers", [1, 2])
def test_no_state_of_a_slot_that_moves_to_other_cells_is_broken(movers: int) -> None:
    found = explore(ReconfigureWorld(PRODUCTION, movers, looks=7 if movers == 1 else 5, works=2), STATES * 4)
    assert not found.broken, found
    if LONG:
        assert found.is_all, "the world is small enough to be seen whole"


def test_no_way_drawn_by_chance_breaks_a_slot_that_moves() -> None:
    steps = set()
    for seed in range(WAYS * 4):
        found = wander(moving(PRODUCTION), seed, 60)
        assert not found.broken, found
        steps |= {word.rpartition("acts: ")[2] for word in found.way if "acts: " in word}
    assert steps == {"freeze", "copy", "bury", "admit", "thaw"}


@pytest.fixture
def bugged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Domain]]:
    """The kind of world that must find the bug, and a copy of production that has it."""
    seed: Path = request.param
    yield seed.read_text().split("world: ")[1].split()[0], seeds.with_bug(seed, tmp_path)
    seeds.forget(seed)


@pytest.mark.parametrize("bugged", seeds.SEEDS, ids=lambda path: path.stem, indirect=True)
def test_a_seeded_bug_is_found(bugged: tuple[str, Domain]) -> None:
    kind, domain = bugged
    assert found_in(kind, domain).broken


def test_there_are_at_least_the_ten_bugs_of_the_specification() -> None:
    assert len(seeds.SEEDS) >= 10


def found_in(kind: str, domain: Domain) -> Found[Any]:
    """By ways drawn by chance, which get deep soon."""
    worlds: list[Any] = {
        "register": [busy(domain), forgetful(domain)],
        "forgetting": [set_back(domain)],
        "reconfigure": [moving(domain)],
        "lease": list(lease_worlds(domain).values()),
    }[kind]
    found: Found[Any] = Found(0)
    for seed in range(4_000):
        found = wander(worlds[seed % len(worlds)], seed, 300 if kind in ("register", "forgetting") else 60)
        if found.broken:
            break
    return found
