"""A plan is stale when any one of its inputs moved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst_provisioner.domain import plan_diff, plans, staleness
from catalyst_provisioner.domain.staleness import Present
from catalyst_sdk.cloud import Action, Change, Offer, Price
from hypothesis import given
from hypothesis import strategies as st

from .plan_parts import PRICE, document, plan

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = plan()
NOW = Present(NOON, 1, 0, "sha256:1", {}, {"cloud_provider:sandbox": "1"})
PLACES = {"sb-east-mgt-dev": "sandbox/east"}


def moved(present: Present, **changes: Any) -> list[str]:
    return staleness.moved(BODY, present, **{"applied": False, "expires_at": NOON + timedelta(hours=24), **changes})


def test_a_plan_of_what_still_stands_is_fresh() -> None:
    assert moved(NOW) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"generation": 2}, "generation"),
        ({"ledger_revision": 1}, "ledger_revision"),
        ({"lock_digest": "sha256:2"}, "lock_digest"),
        ({"module_digests": {"hetzner": "sha256:3"}}, "module_digests"),
        ({"versions": {"cloud_provider:sandbox": "2"}}, "versions"),
        ({"now": NOON + timedelta(hours=24)}, "expired"),
    ],
)
def test_each_input_alone_makes_it_stale(change: dict[str, Any], name: str) -> None:
    assert moved(replace(NOW, **change)) == [name]


def test_a_plan_is_applied_once() -> None:
    assert moved(NOW, applied=True) == ["applied"]


@pytest.mark.parametrize(
    ("stock", "month", "sold", "stale"),
    [
        (5, 2920, True, False),
        (None, 2920, True, False),
        (1, 3060, True, False),
        (0, 2920, True, True),
        (5, 3100, True, True),
        (5, 2700, True, True),
        (5, 2920, False, True),
    ],
)
def test_offers_move_when_stock_is_gone_or_the_month_differs_by_a_twentieth(
    stock: int | None, month: int, sold: bool, stale: bool
) -> None:
    offer = Offer("server", "sb4", "east", price=Price("EUR", 0, month), stock=stock)
    offers = {"sandbox/east": [offer] if sold else []}
    assert staleness.offers_moved(BODY, PLACES, offers) is stale


def test_a_cloud_that_cannot_be_asked_says_nothing_of_its_offers() -> None:
    assert not staleness.offers_moved(BODY, PLACES, {})
    assert PRICE.month_minor == 2920


def test_equal_plans_do_not_differ_and_paths_name_what_does() -> None:
    assert plan_diff.differences(BODY, plan()) == []
    wider = document()
    wider["clusters"][0]["worker_pools"][0]["count"] = 4
    found = plan_diff.differences(BODY, plan(wider))
    assert found == [("spec.clusters[sandbox/east/mgt/dev].worker_pools[general].count", 2, 4)]


Json = st.recursive(st.none() | st.integers() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=6)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(plan_diff.PARTS), st.dictionaries(st.text(max_size=3), Json, max_size=3)),
    st.dictionaries(st.sampled_from(plan_diff.PARTS), st.dictionaries(st.text(max_size=3), Json, max_size=3)),
)
def test_bodies_differ_exactly_where_something_does(first: dict[str, Any], second: dict[str, Any]) -> None:
    found = plan_diff.differences(first, second)
    assert all(a != b for _, a, b in found)
    assert bool(found) is (without_nothing(first) != without_nothing(second))


def without_nothing(body: Any) -> Any:
    """JSON's null says no more than absence does."""
    return {k: without_nothing(v) for k, v in body.items() if v is not None} if isinstance(body, dict) else body


@given(st.integers(0, 5), st.sampled_from(["", "sha256:x"]))
def test_the_hash_moves_with_any_input_and_with_nothing_else(revision: int, digest: str) -> None:
    changed = plan(read={"offers_digests": {"sandbox/east": digest} if digest else {}})
    assert (changed["hash"] == BODY["hash"]) is (digest == "")
    again = plans.canonical({k: v for k, v in changed.items() if k != "hash"})
    assert again == plans.canonical({k: v for k, v in changed.items() if k != "hash"}), revision


@pytest.mark.parametrize(
    ("agreed", "now", "is_agreed"),
    [
        ("CREATE", Action.CREATE, True),
        ("CREATE", Action.IMPORT, True),  # a try before has made it and died
        ("CREATE", Action.REPLACE, False),
        ("NO_OP", Action.CREATE, False),  # somebody has deleted it meanwhile
        ("UPDATE", Action.REPLACE, False),
        ("UPDATE", Action.NO_OP, True),
        ("REPLACE", Action.CREATE, True),  # the first half is done
        ("DELETE", Action.DELETE, True),
        ("", Action.CREATE, False),
        ("", Action.NO_OP, True),
    ],
)
def test_a_cloud_may_do_what_was_agreed_to_and_what_is_left_of_it(agreed: str, now: Action, is_agreed: bool) -> None:
    accepted = [{"address": "server[1]", "action": f"ACTION_{agreed}"}] if agreed else []
    change = Change(now, "server", "s", "server[1]", "east")
    assert (staleness.diverged(accepted, [change]) == []) is is_agreed
