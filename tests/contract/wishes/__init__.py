"""A good request for every method that writes, each about something that nobody else touches; a module a daemon.

A test generated from the descriptors takes its request here; a method that is served and missing here fails the tests, so
the tables cannot fall behind the contracts.
"""

from collections.abc import Mapping

from . import billing, catalog, continuum, environment, pooldomain, provisioner
from .wish import Wish

_ALL = (billing, catalog, continuum, environment, pooldomain, provisioner)
WRITES: Mapping[str, Wish] = {method: wish for one in _ALL for method, wish in one.WRITES.items()}
"""Good requests by method."""

STEPS_OF_RUNS = (
    billing.STEPS_OF_RUNS
    | continuum.STEPS_OF_RUNS
    | environment.STEPS_OF_RUNS
    | pooldomain.STEPS_OF_RUNS
    | provisioner.STEPS_OF_RUNS
)
"""Writers without a request here, with the reason; the daemons' own tests ask them."""

ASKED_BY = billing.ASKED_BY | environment.ASKED_BY
"""Claims of the caller where it is not the operator."""
