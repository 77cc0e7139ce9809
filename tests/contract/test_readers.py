"""Whoever is told of an event may read the thing that it is about: the gateway's table beside those of the daemons."""

from importlib import import_module
from itertools import product

from catalyst_mesh import PUBLIC, SIGNED_IN, Caller, Scope
from catalyst_mesh.readers import NOBODY_S, READERS, UNKNOWN, Reader, kind_of
from catalyst_mesh.roles import ORGANIZATION_ROLES, OWN, SERVICE, WHOLE_SOVEREIGN

from .access_table import DAEMONS, tables

HOMES = {"billing": "emitted", "continuum": "messages"}
"""Module with a daemon's EMITTED, where it is not `events`."""
ROWS = {method: row for _, table in tables() for method, row in table.items()}
TOLD = {
    kind_of(one.subject)
    for name, package in DAEMONS.items()
    for one in import_module(f"{package}.{HOMES.get(name, 'events')}").EMITTED
}
"""Every kind of thing that events of the daemons are about."""


def test_every_event_of_every_daemon_has_its_readers() -> None:
    assert TOLD - set(READERS) == set()


def test_readers_of_an_event_are_the_callers_of_the_method_that_reads_the_thing() -> None:
    told = {kind: sorted(READERS[kind].roles) for kind in TOLD}
    asked = {
        kind: sorted(r for r in ROWS[READERS[kind].method].roles if not r.startswith((SERVICE, OWN))) for kind in TOLD
    }
    assert told == asked


def test_what_any_member_hears_belongs_to_nobody() -> None:
    shared = {kind for kind in TOLD if READERS[kind].is_shared}
    assert shared == {kind for kind in shared if ROWS[READERS[kind].method].scope is Scope.ANY} == {"pooldomain.pool"}


PEOPLE = {
    **{role: Caller(role, roles=frozenset({role})) for role in WHOLE_SOVEREIGN},
    **{role: Caller(role, groups=frozenset({f"/acme/{role}"})) for role in ORGANIZATION_ROLES},
    "nobody": Caller("nobody"),
}


def may_read(kind: str, who: str, owner: str) -> bool:
    """By the row of the method that reads the thing, as its daemon would decide."""
    row = ROWS[READERS[kind].method]
    if who in WHOLE_SOVEREIGN & row.roles:
        return True
    if owner == NOBODY_S:
        return bool({PUBLIC, SIGNED_IN} & row.roles or (row.scope is Scope.ANY and who in row.roles))
    return owner == "acme" and who in ORGANIZATION_ROLES and bool({PUBLIC, SIGNED_IN, who} & row.roles)


def test_each_role_hears_of_each_thing_of_each_owner_what_it_could_read() -> None:
    wrong = []
    for kind, (who, caller), owner in product(sorted(TOLD), PEOPLE.items(), ("acme", "rival", NOBODY_S, UNKNOWN)):
        hears = Reader.of(caller).may_hear(f"catalyst.v1.{kind}.done", owner)
        if hears != may_read(kind, who, owner):
            wrong.append(f"{who} of {kind} of {owner or 'nobody'}: {hears}")
    assert wrong == []
