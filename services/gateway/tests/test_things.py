"""What is kept of a thing: the newest word about it, in whatever order and how often the words came."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest
from catalyst_gateway.things import (
    MOST_BODY,
    Fact,
    FactUnreadable,
    newer,
    of_event,
    of_runtime,
    own_kind,
    retold,
    token,
)
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def word(rank: tuple[int, int]) -> Fact:
    return Fact(
        "k", "k8s.pod", "n", "acme-prod", "acme", "ws.acme-prod.k8s.pod.a.b", rank, 1, NOON, {"rank": list(rank)}
    )


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_any_order_and_any_repetition_ends_in_the_newest_word(ranks: list[tuple[int, int]], chance: Any) -> None:
    words = [word(rank) for rank in ranks]
    other = words + chance.sample(words, chance.randint(0, len(words)))
    chance.shuffle(other)
    first: Fact | None = None
    second: Fact | None = None
    assert reduce(newer, words, first) == reduce(newer, other, second) == word(max(ranks))


def runtime(subject: str, body: Any, **more: Any) -> Fact | None:
    given_ = {"time": NOON, "is_gone": False, "sequence": 7, **more}
    return of_runtime(subject, body if isinstance(body, bytes) else json.dumps(body).encode(), **given_)


POD = {"metadata": {"uid": "u-1", "name": "blog-0", "namespace": "blog", "generation": 3, "resourceVersion": "812"}}


def test_an_object_is_known_by_its_uid_and_ordered_by_generation_and_resource_version() -> None:
    found = runtime("ws.acme-prod.k8s.pod.blog.blog-0", POD)
    assert found is not None
    assert (found.key, found.kind, found.name, found.rank) == ("ws/acme-prod/u-1", "k8s.pod", "blog.blog-0", (3, 812))
    assert (found.environment, found.organization) == ("acme-prod", "acme")
    commit = runtime("ws.acme-prod.git.0a1b2c", {"branch": "main"})
    assert commit is not None
    assert (commit.key, commit.kind, commit.rank) == ("ws/acme-prod/git.0a1b2c", "git.commit", (0, 7))
    flux = runtime("ws.acme-prod.flux.apps", {"metadata": {"uid": "f", "resourceVersion": "9"}})
    assert flux is not None
    assert (flux.kind, flux.rank) == ("flux.kustomization", (0, 9))


def test_what_may_hold_a_secret_never_reaches_the_model() -> None:
    assert runtime("ws.acme-prod.k8s.Secret.blog.db", POD) is None
    kept = runtime("ws.acme-prod.k8s.pod.a.b", {"metadata": {**POD["metadata"], "annotations": {"last": "password"}}})
    assert kept is not None
    assert "password" not in json.dumps(kept.body)
    large = runtime("ws.acme-prod.k8s.pod.a.b", {**POD, "spec": "x" * MOST_BODY, "status": {"phase": "Running"}})
    assert large is not None
    assert set(large.body) == {"metadata", "status"}


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(FactUnreadable):
        runtime("ws.acme-prod.k8s.pod.a.b", body)


@pytest.mark.parametrize("subject", ["ws.acme-prod.k8s", "ws..k8s.pod.a", "ws.acme-prod.k8s.pod..b"])
def test_a_subject_that_names_nothing_is_refused(subject: str) -> None:
    with pytest.raises(FactUnreadable):
        runtime(subject, POD)


@pytest.mark.parametrize("odd", ["²", "-1", "9" * 30, None, [], 1.5])
def test_a_version_that_is_no_number_counts_for_nothing(odd: object) -> None:
    found = runtime("ws.acme-prod.k8s.pod.a.b", {"metadata": {"uid": "u", "generation": odd, "resourceVersion": "1"}})
    assert found is not None
    assert found.rank == (0, 1)


def test_an_event_is_about_its_aggregate_which_a_last_word_ends() -> None:
    subject = "catalyst.v1.pooldomain.zone.deleted"
    found = of_event(subject, "zones/a.example", {"owner": "organizations/acme"}, rank=(7, 2), time=NOON)
    assert (found.key, found.kind, found.name, found.is_gone) == (
        "zones/a.example",
        "pooldomain.zone",
        "a.example",
        True,
    )
    placed = of_event(
        "catalyst.v1.billing.order.paid", "o/1", {"environment": "environments/acme-uat"}, rank=(1, 1), time=NOON
    )
    assert (placed.environment, placed.is_gone) == ("acme-uat", False)


OWN_KINDS = {
    ("provisioner", "sovereigns/acme"): "provisioner.sovereign",
    ("pooldomain", "pools/omani.works/allocations/acme"): "pooldomain.allocation",
    ("pooldomain", "registrarAccounts/r-1"): "pooldomain.registrar_account",
    ("pooldomain", "zones/a.example/delegation"): "pooldomain.delegation",
    ("environment", "environments/acme-prod/policy"): "environment.policy",
    ("catalog", "organizations/acme/blueprints/bp-a/versions/1.0.0"): "catalog.version",
    ("catalog", "priceBooks/1"): "",  # its readers stand under `catalog.pricebook`
    ("billing", "organizations/acme"): "",  # another daemon's
    ("environment", "organizations/acme/invitations/i-1"): "",
    ("environment", "acme"): "",
    ("environment", ""): "",
}


@pytest.mark.parametrize(("daemon", "aggregate"), OWN_KINDS)
def test_a_things_own_kind_is_its_daemon_and_the_singular_of_its_last_collection(daemon: str, aggregate: str) -> None:
    assert own_kind(daemon, aggregate) == OWN_KINDS[daemon, aggregate]


def told(kind: str, aggregate: str, rank: int = 1) -> Fact:
    return of_event(f"catalyst.v1.{kind}.done", aggregate, {"organization": "acme"}, rank=(rank, 1), time=NOON)


def test_what_another_kind_says_of_a_thing_is_a_thing_beside_it() -> None:
    own, access = told("provisioner.sovereign", "sovereigns/acme"), told("provisioner.access", "sovereigns/acme")
    assert (own.key, own.kind, own.is_beside) == ("sovereigns/acme", "provisioner.sovereign", False)
    assert (access.key, access.kind, access.is_beside) == (
        "sovereigns/acme#provisioner.access",
        "provisioner.access",
        True,
    )
    assert own.aggregate == access.aggregate == "sovereigns/acme"
    assert (own.name, access.name) == ("acme", "acme")
    whole = told("catalog.pricebook", "priceBooks/1")  # where no kind is the thing's own, it stays whole
    assert (whole.key, whole.is_beside) == ("priceBooks/1", False)


def test_of_a_thing_whose_last_word_was_another_kinds_older_rules_knew_only_that_it_is_there() -> None:
    access = told("provisioner.access", "sovereigns/acme", 7)
    beside, there = retold(replace(access, key="sovereigns/acme"))
    assert beside == access
    assert (there.key, there.kind, there.organization, there.body) == (
        "sovereigns/acme",
        "provisioner.sovereign",
        "acme",
        {},
    )
    assert newer(told("provisioner.sovereign", "sovereigns/acme", 0), there).kind == "provisioner.sovereign"
    assert newer(there, own := told("provisioner.sovereign", "sovereigns/acme", 1)) == own
    ended = replace(access, is_gone=True)
    assert (retold(access), retold(own), retold(ended)) == ([access], [own], [ended])


def test_a_token_of_a_subject_holds_no_sign_that_nats_understands() -> None:
    assert [token(t) for t in ("a.b", "a b>*", "", "x-y_Z9")] == ["a_b", "a_b__", "_", "x-y_Z9"]
