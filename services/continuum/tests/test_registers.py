"""Where the record of a slot lies: in the daemon's cells, or in those of its wish, and in the old ones until it has moved."""

from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain import cells
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.spec import LeaseClient, LeaseKind
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.workers.census import Census
from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.registers import CellsUnusable, Placed, Registers

from .manifests import cell, having, stateful
from .witnesses import MemoryWitness

OWN = LeaseClient(LeaseKind.DNS_QUORUM)


def wish(*numbers: int, **more: Any) -> LeaseClient:
    rows = [cell(number, **more) for number in numbers]
    return parse(having(stateful(), leaseClient__config__nameservers=rows), House("demo")).lease


def placed(lease: LeaseClient, name: str) -> Placed:
    if any(one.secret is not None and one.secret.name == "lost" for one in lease.cells):
        raise CellsUnusable(why="there is no key")
    found = MemoryWitness(tuple(one.name for one in lease.cells) or ("a", "b", "c"))
    return Placed(name, Register(found, "aaaaaa-bbbbbbbb", configuration=name), found, Census(found), lambda _: None)  # type: ignore[arg-type, return-value]


def registers() -> Registers:
    return Registers(placed(OWN, ""), placed)


def test_the_same_cells_are_one_configuration_whatever_else_is_said_of_them() -> None:
    three = wish(1, 2, 3)
    assert cells.configuration(OWN) == ""
    assert cells.configuration(three) == cells.configuration(wish(3, 1, 2, tsigSecretRef={"name": "other"}))
    assert cells.configuration(three) != cells.configuration(wish(1, 2, 4))
    assert cells.configuration(three) == cells.configuration(replace(three, resolvers=("192.0.2.9",)))
    known = registers()
    assert known.of(three) is known.of(wish(1, 2, 3))
    assert known.of(OWN) is known.own
    assert known.of(three).configuration.startswith("c")


async def test_a_majority_of_the_cells_must_be_seen_to_stay() -> None:
    known = registers()
    assert await known.faults(wish(1, 2, 3), wish(1, 2, 4)) == []
    (fault,) = await known.faults(wish(1, 2, 3), wish(1, 4, 5))
    assert "1 of 3 cells are seen to stay" in fault


async def test_a_key_that_was_lost_can_be_given_anew() -> None:
    lost = wish(1, 2, 3, tsigSecretRef={"name": "lost"})
    assert await registers().faults(lost, wish(1, 2, 3)) == []
    with pytest.raises(CellsUnusable):
        await registers().faults(wish(1, 2, 3), lost)
