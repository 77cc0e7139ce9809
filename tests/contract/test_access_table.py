"""The table of who may call what is whole, names only what there is, and is documented as it stands."""

import importlib
from typing import Any

import pytest
from catalyst_mesh import PUBLIC, SIGNED_IN, Row, Scope
from catalyst_mesh.roles import AGENT, ORGANIZATION_ROLES, OWN, SERVICE, WHOLE_SOVEREIGN
from google.longrunning import operations_pb2

from .access_table import DAEMONS, PAGE, page, tables
from .unserved import not_served

TABLES = dict(tables())
DAEMON_NAMES = {"billing", "catalog", "continuum", "environment", "gateway", "pdm", "pool_domain_manager", "pooldomain"}
DAEMON_NAMES |= {"provisioner"}


def methods(contract: str) -> set[str]:
    """Every method of every service of a contract."""
    descriptor: Any = importlib.import_module(f"catalyst.{contract}.v1.service_pb2").DESCRIPTOR
    return {f"{s.full_name}/{m.name}" for s in descriptor.services_by_name.values() for m in s.methods}


def unserved(contract: str) -> set[str]:
    missing = not_served(contract, DAEMONS[contract])
    every = methods(contract)
    return {m for m in every for service, method in [m.split("/")] if {method, "all"} & missing.get(service, set())}


def test_the_page_says_what_the_code_does() -> None:
    assert PAGE.read_text() == page(), "write it anew: python tests/contract/access_table.py"


@pytest.mark.parametrize("contract", DAEMONS)
def test_every_method_has_a_row_or_is_not_served(contract: str) -> None:
    assert methods(contract) - unserved(contract) - set(TABLES[contract]) == set()


@pytest.mark.parametrize("contract", DAEMONS)
def test_every_row_is_of_a_method_that_there_is(contract: str) -> None:
    operations = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    known = methods(contract) | {f"{operations.full_name}/{m.name}" for m in operations.methods}
    assert set(TABLES[contract]) - known == set()


@pytest.mark.parametrize("contract", DAEMONS)
def test_every_role_of_a_row_is_one_that_somebody_can_hold(contract: str) -> None:
    known = {PUBLIC, SIGNED_IN, AGENT} | ORGANIZATION_ROLES | WHOLE_SOVEREIGN
    known |= {f"{kind}{name}" for name in DAEMON_NAMES for kind in (SERVICE, OWN)}
    assert {role for row in TABLES[contract].values() for role in row.roles} - known == set()


@pytest.mark.parametrize("contract", DAEMONS)
def test_a_row_says_whose_or_belongs_to_nobody(contract: str) -> None:
    """A role of an Organization on what belongs to none is a reading of public things, or an oversight."""
    open_to_members = {m for m, row in TABLES[contract].items() if _is_anybody_s(row)}
    shared = {"GetPool", "ListPools", "GetNameServerSet", "ListNameServerSets", "SelectComponents", "CheckCapacity"}
    assert {method.split("/")[1] for method in open_to_members} - shared == set()


def _is_anybody_s(row: Row) -> bool:
    return row.scope is Scope.ANY and bool(row.roles & ORGANIZATION_ROLES)
