"""The wizard's wish: what it keeps of its forms, and the spec that it means."""

import pytest
from catalyst_gateway.console import servers, wishes
from catalyst_gateway.console.wishes import START, spec, with_form

WISH = {
    **START, "organization.slug": "bank", "organization.display_name": "Bank", "organization.admin_email": "a@bank.example",
    "name": "bank", "provider": "sandbox", "region.0": "east", "control.size": "sb8", "workers.size": "sb4",
    "credential": "credentials/mine", "domain.pool": "omani.works", "domain.label": "bank",
}  # fmt: skip


def test_a_wish_means_the_spec_that_a_file_would_say() -> None:
    assert spec(WISH, regions=1) == {
        "organization": {"slug": "bank", "displayName": "Bank", "adminEmail": "a@bank.example"},
        "domain": {"mode": "pool", "pool": "omani.works", "label": "bank"},
        "topology": "solo",
        "regions": ["east"],
        "clusterDefaults": {
            "provider": "sandbox", "envType": "dev", "credentials": {"sandbox": {"name": "credentials/mine"}},
            "controlPlane": {"size": "sb8", "count": 1}, "workerPools": [{"name": "general", "size": "sb4", "count": 2}],
        },
        "components": {},
    }  # fmt: skip


def test_only_what_differs_from_the_usual_selection_is_said() -> None:
    wish = {**WISH, "selected": ["bp-a", "bp-c"]}
    said = spec(wish, regions=1, default=["bp-a", "bp-b"])["components"]
    assert said == {"include": ["bp-c"], "exclude": ["bp-b"], "confirmCascade": True}


def test_a_form_keeps_its_own_fields_and_no_others() -> None:
    kept = with_form(START, "credentials", {"credential": " credentials/x ", "values.token": "secret", "csrf": "1"})
    assert kept == {**START, "credential": "credentials/x"}


def test_another_cloud_forgets_what_the_first_one_offered() -> None:
    changed = with_form(WISH, "provider", {"provider": "hetzner"})
    assert changed["provider"] == "hetzner"
    assert not {"region.0", "control.size", "workers.size", "credential"} & changed.keys()
    assert changed["organization.slug"] == "bank"


def test_a_sovereign_is_called_like_its_organization_until_somebody_names_it() -> None:
    first = with_form(START, "organization", {"organization.slug": "acme", "name": ""})
    assert first["name"] == "acme"
    assert with_form(first, "organization", {"organization.slug": "bank", "name": "acme"})["name"] == "bank"
    assert with_form(first, "organization", {"organization.slug": "bank", "name": "vault"})["name"] == "vault"


@pytest.mark.parametrize(
    ("field", "step"),
    [("organization.slug", "organization"), ("cluster_defaults.worker_pools[0].size", "provider"), ("domain", "domain"),
     ("cluster_defaults.credentials[sandbox]", "credentials"), ("nothing.known", "")],
)  # fmt: skip
def test_what_is_wrong_is_mended_at_the_step_that_asks_for_it(field: str, step: str) -> None:
    assert wishes.first_wrong([field], until="domain") == step


def test_a_price_that_is_not_whole_is_not_told() -> None:
    cluster = {"provider": "sandbox", "region": "east", "controlPlane": {"size": "sb8", "count": 3}, "workerPools": []}
    offer = {"name": "providers/sandbox/regions/east/offers/sb8", "size": "sb8"}
    priced = {**offer, "price": {"month": {"minor": "2920", "currency": "EUR"}}}
    assert wishes.price({"clusters": [cluster]}, [offer]) is None
    assert wishes.price({"clusters": [cluster]}, [priced]) == {"minor": "8760", "currency": "EUR", "servers": 3}
    assert wishes.price({}, [priced]) is None


LAYOUT = {
    "regions": [{"clusters": [{"hosts": ["rtz", "mgt"]}, {"hosts": ["dmz"]}]}, {"clusters": [{"hosts": ["rtz"]}]}]
}
CLUSTER = {"controlPlane": {"size": "sb8", "count": 3}, "workerPools": [{"name": "general", "size": "sb4", "count": 2}]}


def test_a_cluster_has_servers_of_its_own_where_they_were_typed_and_those_of_all_elsewhere() -> None:
    form = {"cluster.0.dmz.control.size": "sb2", "cluster.0.dmz.control.count": "1", "cluster.0.dmz.workers.count": "0",
            "cluster.1.rtz.more.size": "sb16", "cluster.1.rtz.more.count": "", "cluster.0.rtz.control.size": " "}  # fmt: skip
    wish = with_form(WISH, "provider", form)
    expanded = {"clusters": [CLUSTER] * 3, "domain": {"mode": "pool"}}
    meant = servers.with_own(expanded, wish, servers.places(LAYOUT))
    assert meant is not None
    first, second, third = meant["clusters"]
    assert (first, meant["domain"]) == (CLUSTER, {"mode": "pool"})
    assert second == {"controlPlane": {"size": "sb2", "count": 1}, "workerPools": []}
    assert third["workerPools"] == [*CLUSTER["workerPools"], {"name": "more", "size": "sb16", "count": 1}]
    assert servers.with_own(expanded, WISH, servers.places(LAYOUT)) is None, "the shorthand says it"
    assert dict(servers.fields(servers.places(LAYOUT)))["clusters[2].worker_pools[1].size"] == "cluster.1.rtz.more.size"


def test_servers_of_one_cluster_are_forgotten_with_the_clusters() -> None:
    wish = with_form(WISH, "provider", {"cluster.0.rtz.control.size": "sb2", "cluster.0.xyz.control.size": "sb2"})
    assert {name for name in wish if name.startswith("cluster.")} == {"cluster.0.rtz.control.size"}
    for step, form in (("topology", {"topology": "dual"}), ("provider", {"provider": "hetzner"}),
                       ("provider", {"cluster.0.rtz.control.size": ""})):  # fmt: skip
        assert not any(name.startswith("cluster.") for name in with_form(wish, step, form)), (step, form)
    assert "cluster.0.rtz.control.size" in with_form(wish, "domain", {"domain.label": "x"})
