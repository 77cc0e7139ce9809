"""Whoever is told of an event may read the thing that it is about: the gateway's table beside those of the daemons."""

from importlib import import_module

from catalyst_gateway.readers import READERS, kind_of
from catalyst_mesh import Scope
from catalyst_mesh.roles import OWN, SERVICE

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
