"""Small parts: the tree's manifests, the pages, plans."""

import pytest
from catalyst_cloud_sandbox import catalogue, wishes
from catalyst_cloud_sandbox.agent import fetch, pages
from catalyst_cloud_sandbox.store import Resource
from catalyst_sdk.cloud import Action, OfferQuery
from catalyst_testkit.cloud_bench import cluster_request


@pytest.mark.parametrize(("text", "expected"), [("15m", 900), ("1h30m", 5400), ("90s", 90), ("1.5m", 90)])
def test_durations_are_read_as_flux_writes_them(text, expected) -> None:
    assert fetch.seconds(text) == expected


@pytest.mark.parametrize("text", ["15", "m5x", "soon"])
def test_what_is_no_duration_is_refused(text) -> None:
    with pytest.raises(ValueError):
        fetch.seconds(text)


def test_a_release_without_a_name_makes_the_tree_unusable() -> None:
    document = {"kind": "HelmRelease", "metadata": {}, "spec": {}}
    with pytest.raises(fetch.Unusable, match=r"kit/a\.yaml"):
        fetch.releases([("kit/a.yaml", document)])


def test_a_file_that_is_too_large_or_hostile_is_refused() -> None:
    with pytest.raises(fetch.Unusable, match="larger"):
        fetch.parse("a.yaml", b"x" * (fetch.LARGEST + 1))
    with pytest.raises(fetch.Unusable, match="not YAML"):
        fetch.parse("a.yaml", b"!!python/object/apply:os.system [id]")


def test_another_digest_is_another_fingerprint() -> None:
    release = {"kind": "HelmRelease", "metadata": {"name": "bp-a"}, "spec": {"chartRef": {"name": "bp-a"}}}

    def with_digest(digest: str) -> dict[str, object]:
        source = {"kind": "OCIRepository", "metadata": {"name": "bp-a"}, "spec": {"ref": {"digest": digest}}}
        return fetch.releases([("a", release), ("b", source)])[0]

    assert with_digest("sha256:1")["digest"] == "sha256:1"
    assert with_digest("sha256:1") == with_digest("sha256:1")
    assert with_digest("sha256:1")["fingerprint"] != with_digest("sha256:2")["fingerprint"]


def test_pages_escape_what_comes_from_outside() -> None:
    site = pages.Site("a.example", "c", "east", "s", {})
    page = pages.answer(site, "<script>.a.example", "/")
    assert page.status == 404
    assert "<script>" not in page.body


def test_a_size_that_changed_is_an_update_and_never_a_replacement(sandbox) -> None:
    request = cluster_request(sandbox)
    found = [
        Resource(f"id-{n}", w.kind, w.name, w.region, w.labels, {**w.spec, "simulated": True})
        for n, w in enumerate(wishes.wished(request))
    ]
    small = [r if r.kind != "server" else Resource(**{**fields(r), "spec": {**r.spec, "size": "sb4"}}) for r in found]
    changes = wishes.plan(request, [], small).changes
    assert {c.action for c in changes} == {Action.IMPORT}
    rows = [wishes.LedgerRow(r.kind, r.name, r.region, r.labels, r.id) for r in found]
    changes = wishes.plan(request, rows, small).changes
    assert [(c.action, c.paths) for c in changes if c.kind == "server"] == [(Action.UPDATE, ("size",))] * 2


def test_prices_of_an_hour_and_a_month_agree() -> None:
    for offer in catalogue.offers(OfferQuery(), ("east",), {}):
        assert offer.price
        assert offer.price.month_minor == offer.price.hour_micros * 730 // 10_000


def fields(resource: Resource) -> dict[str, object]:
    return {name: getattr(resource, name) for name in Resource.__slots__}
