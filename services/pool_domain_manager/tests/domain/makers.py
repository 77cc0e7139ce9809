"""Pools and names as the tests of decisions need them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalyst_pool_domain_manager.domain import allocations
from catalyst_pool_domain_manager.domain.allocations import Allocation, Reserve, State
from catalyst_pool_domain_manager.domain.pools import Pool, Ttls

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TTL = timedelta(minutes=10)
EVERY = timedelta(minutes=5)
TOKEN = "a" * 64
"""Hash of the token that the holder has."""
HOME = (("default", "127.7.0.1"),)
ELSEWHERE = (("default", "127.7.0.2"),)
NAME = "pools/omani.works/allocations/acme"
ACME = Reserve(
    "omani.works", "acme", "uid-1", "organizations/acme", "runs/1", "service:provisioner", TTL, token_hash=TOKEN
)
RIVAL = replace(ACME, owner="organizations/rival", uid="uid-2", token_hash="b" * 64)
POOL = Pool(
    "omani.works", ("SOVEREIGN",), "backends/embedded",
    tuple((name, "console" if name == "console" else "default") for name in ("@", "console", "api", "gitea", "harbor")),
    Ttls(ns=2, ds=3, record=5, negative=1), TTL, timedelta(days=30), True, NOON, NOON, "uid-pool",
)  # fmt: skip


def reserved() -> Allocation:
    return allocations.reserve(None, ACME, NOON).state


def committed(targets: tuple[tuple[str, str], ...] = HOME) -> Allocation:
    return allocations.commit(reserved(), NAME, TOKEN, targets, NOON).state


def active() -> Allocation:
    return allocations.activate(committed(), NOON, EVERY).state


def resting() -> Allocation:
    releasing = allocations.release(active(), "done", "somebody", NOON).state
    return allocations.quarantine(releasing, timedelta(days=30), NOON).state


def in_state(state: State) -> Allocation:
    return replace(active(), state=state)
