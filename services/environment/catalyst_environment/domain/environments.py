"""Environments: one place for Applications per Organization and type of use."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from .conditions import NOT_AVAILABLE, Condition, noted

BRANCHES = {"prod": "main", "stg": "staging", "dev": "develop", "uat": "release/uat", "poc": "poc/{app}"}
"""Branch of each Application's repository that is an Environment's, by its type."""
NO_CLUSTER = "no host cluster is given to this Organization, so nothing runs here"
NO_VCLUSTER = "no vcluster is made: Applications run in namespaces of the host cluster"
PLACED, VCLUSTER = "Placed", "Vcluster"


class State(StrEnum):
    ACTIVE = "active"
    DELETED = "deleted"


class EnvironmentNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ENVIRONMENT_NOT_FOUND", "there is no Environment {environment}"


class EnvironmentExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "ENVIRONMENT_EXISTS", "there is {environment} already"


class EnvironmentNotEmpty(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ENVIRONMENT_NOT_EMPTY"
    message = "{environment} holds {applications}"


@dataclass(frozen=True, slots=True)
class Region:
    """A place where an Environment runs."""

    provider: str
    region: str
    building_block: str = "rtz"
    host_cluster: str = ""
    """`sovereigns/{sovereign}/clusters/{cluster}` where somebody chose; empty: the one that matches."""


@dataclass(frozen=True, slots=True)
class Host:
    """A cluster on which Applications run."""

    cluster: str
    """`sovereigns/{sovereign}/clusters/{cluster}`."""
    sovereign_uid: str
    """Life of its Sovereign: another one of the same name is another host."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One life of an Environment."""

    id: str
    org: str
    type: str
    regions: tuple[Region, ...]
    state: State
    conditions: tuple[Condition, ...]
    created_at: datetime
    updated_at: datetime
    version: int
    hosts: tuple[Host, ...] = ()

    @property
    def name(self) -> str:
        return f"environments/{self.id}"

    @property
    def branch(self) -> str:
        """Branch that is its own; `{app}` stands for the Application's name."""
        return BRANCHES[self.type]


@dataclass(frozen=True, slots=True)
class Created:
    environment: Environment


@dataclass(frozen=True, slots=True)
class Updated:
    environment: Environment


@dataclass(frozen=True, slots=True)
class Deleted:
    environment: Environment


def create(
    known: Environment | None, org: str, type: str, regions: tuple[Region, ...], now: datetime
) -> Decision[Environment]:
    """Make one. Raises EnvironmentExists."""
    id = f"{org}-{type}"
    if known is not None and known.state is not State.DELETED:
        raise EnvironmentExists(environment=known.name)
    missing = Condition(VCLUSTER, False, NOT_AVAILABLE, NO_CLUSTER, now)
    version = known.version + 1 if known else 1
    made = Environment(id, org, type, regions, State.ACTIVE, (missing,), now, now, version)
    return Decision(made, (Created(made),))


def place(held: Environment, hosts: tuple[Host, ...], now: datetime) -> Decision[Environment]:
    """Its Applications run there from now on."""
    told = ", ".join(one.cluster for one in hosts)
    seen = Condition(PLACED, True, "Found", f"its Applications run on {told}", now)
    return _placed(held, hosts, seen, Condition(VCLUSTER, False, NOT_AVAILABLE, NO_VCLUSTER, now), now)


def unplaced(held: Environment, why: str, now: datetime) -> Decision[Environment]:
    """There is no cluster for it, or none any more."""
    seen = Condition(PLACED, False, NOT_AVAILABLE, why, now)
    return _placed(held, (), seen, Condition(VCLUSTER, False, NOT_AVAILABLE, NO_CLUSTER, now), now)


def _placed(
    held: Environment, hosts: tuple[Host, ...], placed: Condition, vcluster: Condition, now: datetime
) -> Decision[Environment]:
    conditions = noted(noted(held.conditions, placed), vcluster)
    if held.state is State.DELETED or (hosts, conditions) == (held.hosts, held.conditions):
        return Decision(held)
    after = replace(held, hosts=hosts, conditions=conditions, updated_at=now, version=held.version + 1)
    return Decision(after, (Updated(after),))


def delete(held: Environment, now: datetime) -> Decision[Environment]:
    """Remove one; whether it is empty is asked by whoever knows what stands in it."""
    after = replace(held, state=State.DELETED, updated_at=now, version=held.version + 1)
    return Decision(after, (Deleted(after),))
