"""The gate `alone`: each distribution, with what it declares and nothing else, can be imported and its plugin loaded."""

from dataclasses import replace
from importlib import import_module

import pytest

from . import alone

NAMES = sorted(alone.members())


def test_every_distribution_is_found() -> None:
    assert {"catalyst-sdk", "catalyst-mesh", "catalyst-billing", "catalyst-dns-powerdns", "catalyst-cli"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_distribution_imports_it_declares(name: str) -> None:
    member = alone.members()[name]
    assert len(alone.imports(member)) > 0
    assert alone.missing(member) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_others_load_of_it_by_name_is_there(name: str) -> None:
    member = alone.members()[name]
    for module in member.entry_points:
        assert module.split(".")[0] in member.packages
        import_module(module)


def test_an_import_that_nothing_declared_brings_is_named() -> None:
    mesh = alone.members()["catalyst-mesh"]
    without = replace(mesh, declared=tuple(d for d in mesh.declared if not d.startswith("nats")))
    assert any("nats.js" in line and "nats-py" in line for line in alone.missing(without))
