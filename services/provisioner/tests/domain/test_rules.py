"""What a spec may say."""

import base64
import ipaddress
import struct
from typing import Any

import pytest
from catalyst_provisioner.data import reference
from catalyst_provisioner.domain import cidrs, immutables, layouts, rules, wishes
from catalyst_provisioner.domain.naming import parse
from catalyst_provisioner.domain.reference import Code
from catalyst_provisioner.domain.ssh_keys import key_fault
from catalyst_provisioner.domain.wishes import Cloud
from hypothesis import given
from hypothesis import strategies as st

FACTS = reference()
CLOUDS = {
    "sandbox": Cloud("sandbox", Code("sb", "b"), {"east": Code("east", "e"), "west": Code("west", "w")}, True),
    "hetzner": Cloud("hetzner", Code("hz", "h"), {"fsn1": Code("fsn", "f")}),
}
CREDENTIAL = {"name": "credentials/acme"}


def cluster(**changes: Any) -> dict[str, Any]:
    return {
        "provider": "sandbox", "region": "east", "building_block": "mgt", "env_type": "prod", "credential": CREDENTIAL,
        "control_plane": {"size": "sb8", "count": 1}, **changes,
    }  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    return {
        "organization": {"slug": "omantel", "admin_email": "ops@omantel.example"},
        "domain": {"mode": "pool", "pool": "omani.works", "label": "omantel"},
        "clusters": [cluster()],
        **changes,
    }


def wrong(**changes: Any) -> set[str]:
    found = rules.violations(document(**changes), CLOUDS, FACTS, lambda name: name in {"com", "co.uk"})
    return {violation.field for violation in found}


def test_a_right_spec_has_nothing_against_it() -> None:
    assert wrong() == set()


@pytest.mark.parametrize("slug", ["admin", "kube-system", "fsn", "mgt", "a--b", "sb"])
def test_reserved_slugs_are_refused(slug: str) -> None:
    assert wrong(organization={"slug": slug, "admin_email": "a@b.example"}) == {"spec.organization.slug"}


@pytest.mark.parametrize(
    ("domain", "fields"),
    [
        ({"mode": "pool", "pool": "omani.works"}, {"spec.domain.label"}),
        ({"mode": "pool", "pool": "omani.works", "label": "-a"}, {"spec.domain.label"}),
        ({"mode": "pool", "pool": "omani.works", "label": "a" * 64}, {"spec.domain.label"}),
        ({"mode": "pool", "pool": "omani.works", "label": "xn--abc"}, {"spec.domain.label"}),
        ({"mode": "pool", "pool": "omani.works", "label": "a", "fqdn": "b.example"}, {"spec.domain.fqdn"}),
        ({"mode": "byo-manual"}, {"spec.domain.fqdn"}),
        ({"mode": "byo-manual", "fqdn": "com"}, {"spec.domain.fqdn"}),
        ({"mode": "byo-manual", "fqdn": "co.uk"}, {"spec.domain.fqdn"}),
        ({"mode": "byo-api", "fqdn": "a.example"}, {"spec.domain.registrar_account"}),
        ({}, {"spec.domain.mode"}),
    ],
)
def test_domains(domain: dict[str, Any], fields: set[str]) -> None:
    assert wrong(domain=domain) == fields


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"region": "fsn1"}, "region"),
        ({"provider": "nowhere"}, "provider"),
        ({"control_plane": {"size": "sb8", "count": 2}}, "control_plane.count"),
        ({"control_plane": {"count": 1}}, "control_plane.size"),
        ({"hosts": ["rtz"]}, "hosts"),
        ({"worker_pools": [{"name": "a", "count": 1}]}, "worker_pools[0].size"),
        ({"worker_pools": [{"name": "a", "size": "sb4", "count": 3, "max": 2}]}, "worker_pools[0]"),
        ({"worker_pools": [{"name": "a"}, {"name": "a"}]}, "worker_pools"),
        ({"credential": None}, "credential"),
        ({"control_plane": {"size": "sb8", "count": 4}}, "control_plane.count"),
        ({"worker_pools": [{"name": "a", "size": "sb4", "count": 1, "min": 2}]}, "worker_pools[0]"),
        ({"worker_pools": [{"name": "a", "labels": {"openova.io/x": "1"}}]}, "worker_pools[0].labels.openova.io/x"),
        ({"worker_pools": [{"name": "a", "taints": [{"key": "a b"}]}]}, "worker_pools[0].taints[0].key"),
        ({"load_balancer": {"listeners": [{"port": 80}, {"port": 80}]}}, "load_balancer.listeners"),
    ],
)
def test_clusters(changes: dict[str, Any], field: str) -> None:
    assert wrong(clusters=[cluster(**changes)]) == {f"spec.clusters[0].{field}"}


def test_two_clusters_of_one_name_are_refused() -> None:
    assert wrong(clusters=[cluster(), cluster()]) == {"spec.clusters[1]"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"network": {"cidr_base": "10.1.0.0/8"}}, {"spec.network.cidr_base"}),
        ({"network": {"cidr_base": "8.0.0.0/8"}}, {"spec.network.cidr_base"}),
        ({"network": {"cidr_base": "192.168.0.0/16"}}, {"spec.network.cidr_base"}),
        ({"network": {"cidr_base": "172.16.0.0/12"}}, set()),
        ({"network": {"reserved_cidrs": ["10.0.0.0/8", "fe80::1/10"]}}, {"spec.network.reserved_cidrs[1]"}),
        ({"access": {"ssh_public_keys": ["ssh-ed25519 AAAA"]}}, {"spec.access.ssh_public_keys[0]"}),
        ({"access": {"ssh_allowed_cidrs": ["2001:db8::/32", "x"]}}, {"spec.access.ssh_allowed_cidrs[1]"}),
        ({"api": {"extra_sans": ["api.acme.example", "10.0.0.1", "no name"]}}, {"spec.api.extra_sans[2]"}),
        ({"placement": "active-active"}, {"spec.placement"}),
        ({"ttl": "3600s"}, {"spec.ttl"}),
        ({"budget": {"monthly_limit": {"minor": "0", "currency": "EUR"}}}, {"spec.budget.monthly_limit.minor"}),
        ({"approvals": [{"gate": "destroy"}]}, {"spec.approvals[0]"}),
        ({"approvals": [{"gate": "*", "roles": ["a"]}, {"gate": "*", "roles": ["b"]}]}, {"spec.approvals"}),
        ({"drift": {"policy": "repair-in-window"}}, {"spec.drift.windows"}),
        ({"gitops": {"remote": "https://git.example/x", "branch": "trees/main"}}, set()),
        ({"gitops": {"remote": "ssh://git.example/x"}}, {"spec.gitops.remote"}),
        ({"gitops": {"remote": "http://git.example/x"}}, {"spec.gitops.remote"}),
        ({"gitops": {"remote": "https://ops:pw@git.example/x"}}, {"spec.gitops.remote"}),
        (
            {
                "gitops": {
                    "remote": "https://git.example/x",
                    "branch": "a..b",
                    "author": "me",
                }
            },
            {"spec.gitops.branch", "spec.gitops.author"},
        ),
        ({"components": {"include": ["bp-a"], "exclude": ["bp-a"]}}, {"spec.components.exclude"}),
        ({"components": {"exclude": ["bp-a"], "values": {"bp-a": {}}}}, {"spec.components.values.bp-a"}),
        ({"cluster_defaults": {"env_type": "dev"}}, {"spec.cluster_defaults"}),
    ],
)
def test_what_only_the_whole_spec_shows(changes: dict[str, Any], fields: set[str]) -> None:
    assert wrong(**changes) == fields


def test_regimes_are_those_of_the_data_file() -> None:
    profile = {"industry": "financial", "size": "Very Large", "compliance": ["DORA", "Nothing"]}
    organization = {"slug": "omantel", "admin_email": "ops@omantel.example", "profile": profile}
    found = {"spec.organization.profile.size", "spec.organization.profile.compliance[1]"}
    assert wrong(organization=organization) == found


@pytest.mark.parametrize(
    ("domain", "fields"),
    [
        ({"mode": "pool", "pool": "omani.works", "label": "a"}, set()),
        ({"mode": "pool", "pool": "unknown.example", "label": "a"}, {"spec.domain.pool"}),
        ({"mode": "byo-manual", "fqdn": "cloud.acme.example"}, set()),
        ({"mode": "byo-manual", "fqdn": "notomani.works"}, set()),
        ({"mode": "byo-manual", "fqdn": "omani.works"}, {"spec.domain.fqdn"}),
        ({"mode": "byo-manual", "fqdn": "a.b.omani.works"}, {"spec.domain.fqdn"}),
    ],
)
def test_a_name_of_one_s_own_lies_in_no_pool(domain: dict[str, Any], fields: set[str]) -> None:
    assert {v.field for v in rules.under_a_pool({"domain": domain}, ["omani.works"])} == fields


@given(
    st.dictionaries(st.sampled_from(["region", "hosts", "control_plane", "worker_pools"]), st.just(None), min_size=1),
    st.dictionaries(st.sampled_from(["ttl", "air_gap", "placement"]), st.just(True), min_size=1),
)
def test_one_fault_hides_no_other(inner: dict[str, Any], outer: dict[str, Any]) -> None:
    bad_cluster = {"region": "nowhere", "hosts": ["dmz"], "control_plane": {"size": "x", "count": 2},
                   "worker_pools": [{"name": "a", "count": 1}]}  # fmt: skip
    bad_whole = {"ttl": "60s", "air_gap": {"mirrors": []}, "placement": "active-active"}
    alone = [wrong(clusters=[cluster(**{key: bad_cluster[key]})]) for key in inner]
    alone += [wrong(**{key: bad_whole[key]}) for key in outer]
    together = wrong(clusters=[cluster(**{k: bad_cluster[k] for k in inner})], **{k: bad_whole[k] for k in outer})
    assert together == set().union(*alone)
    assert together


@given(st.sampled_from(["", "10.0.0.0/8", "10.128.0.0/9", "172.16.0.0/12"]),
       st.sets(st.integers(0, FACTS.max_clusters - 1), min_size=2, max_size=2))  # fmt: skip
def test_an_own_base_holds_all_ranges_and_none_touch(base: str, indexes: set[int]) -> None:
    first, second = (cidrs.ranges(FACTS.cidrs, index, base) for index in sorted(indexes))
    assert not any(cidrs.overlapping(a, b) for a in (*first.all(), *second.all()) for b in second.all() if a != b)
    whole = ipaddress.ip_network(base or "10.0.0.0/8")
    assert all(ipaddress.ip_network(text).subnet_of(whole) for text in first.all())  # type: ignore[arg-type]  # all IPv4
    assert cidrs.overlapping(first.nodes, first.node_subnet)
    assert cidrs.most_nodes(first) >= 32


@pytest.mark.parametrize(("version", "fine"), [
    ("v1.31.9+k3s1", True), ("v1.32.0+k3s1", True), ("v1.33.0+k3s1", False), ("v1.30.9+k3s1", False),
    ("v2.31.4+k3s1", False), ("", True),
])  # fmt: skip
def test_a_cluster_rises_by_one_minor_at_a_time(version: str, fine: bool) -> None:
    new = document(clusters=[cluster(**({"k3s_version": version} if version else {}))])
    found = [v.field for v in immutables.violations(document(), new, FACTS)]
    assert found == ([] if fine else ["spec.clusters[0].k3s_version"])


def test_a_topology_excludes_clusters_and_needs_its_regions() -> None:
    assert wrong(topology="solo", regions=["sandbox/east"], cluster_defaults={"control_plane": {"size": "sb8"}}) == {
        "spec.topology"
    }
    assert "spec.regions" in wrong(clusters=[], topology="dual", regions=["sandbox/east"])


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"regions": ["sandbox/east", "sandbox/nowhere"]}, {"spec.regions[1]"}),
        ({"regions": ["sandbox/east", "west"]}, {"spec.regions[1]"}),
        ({"regions": ["sandbox/east", "sandbox/east"]}, {"spec.regions"}),
        ({"regions": ["sandbox/east", "hetzner/fsn1"]}, {"spec.cluster_defaults.credentials"}),
        ({"cluster_defaults": {"control_plane": {"size": "sb8", "count": 2}}},
         {"spec.cluster_defaults.control_plane.count", "spec.cluster_defaults.credentials"}),
        ({"topology": "compact+air-gap"}, {"spec.air_gap", "spec.regions"}),
    ],
)  # fmt: skip
def test_the_shorthand_is_judged_where_it_was_written(changes: dict[str, Any], fields: set[str]) -> None:
    defaults = {"control_plane": {"size": "sb8", "count": 3}, "credentials": {"sandbox": CREDENTIAL}}
    raw = {"topology": "compact", "regions": ["sandbox/east", "sandbox/west"], "cluster_defaults": defaults, **changes}
    full = layouts.expanded({k: v for k, v in document(**raw).items() if k != "clusters"}, CLOUDS, FACTS)
    assert {v.field for v in rules.violations(full, CLOUDS, FACTS, lambda name: False)} == fields


def test_a_topology_is_written_out() -> None:
    defaults = {
        "control_plane": {"size": "sb8", "count": 1},
        "credentials": {"sandbox": CREDENTIAL},
        "provider": "sandbox",
    }
    raw = document(topology="zoned", regions=["east", "sandbox/west"], cluster_defaults=defaults)
    del raw["clusters"]
    full = layouts.expanded(raw, CLOUDS, FACTS)
    assert rules.violations(full, CLOUDS, FACTS, lambda name: False) == []
    names = [c.name for c in wishes.read(full, CLOUDS, FACTS).clusters]
    assert names == ["sb-east-dmz-prod", "sb-east-rtz-prod", "sb-west-dmz-prod", "sb-west-rtz-prod"]
    assert "topology" not in full


def test_invisible_characters_are_found_wherever_they_hide() -> None:
    assert wrong(
        organization={"slug": "omantel", "admin_email": "ops@omantel.example", "display_name": "a\u202eb"}
    ) == {"spec.organization.display_name"}


def test_a_control_plane_never_shrinks() -> None:
    old = document(clusters=[cluster(control_plane={"size": "sb8", "count": 3})])
    assert [v.field for v in immutables.violations(old, document(), FACTS)] == ["spec.clusters[0].control_plane.count"]
    assert immutables.violations(document(), old, FACTS) == []


LONG = b"\x7f" + b"\xff" * 256


def key(kind: str, *fields: bytes) -> str:
    blob = b"".join(struct.pack(">I", len(f)) + f for f in (kind.encode(), *fields))
    return base64.b64encode(blob).decode()


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        (f"ssh-ed25519 {key('ssh-ed25519', bytes(32))} me@there", True),
        (f"ssh-ed25519 {key('ssh-ed25519', bytes(31))}", False),
        (f"ssh-ed25519 {key('ssh-rsa', bytes(32))}", False),
        (f"ssh-rsa {key('ssh-rsa', b'3', LONG)}", True),
        (f"ssh-rsa {key('ssh-rsa', b'3', LONG[:128])}", False),
        (f"ssh-ed25519 {key('ssh-ed25519', bytes(32))[:-9]}", False),
        (f"ecdsa-sha2-nistp256 {key('ecdsa-sha2-nistp256', b'nistp256', bytes(65))} me", True),
        (f"ecdsa-sha2-nistp256 {key('ecdsa-sha2-nistp256', b'nistp384', bytes(65))}", False),
        ("ssh-dss AAAA", False),
        ("", False),
    ],
)
def test_public_keys_are_parsed_and_not_only_matched(line: str, fine: bool) -> None:
    assert (key_fault(line) == "") is fine


@given(
    st.sampled_from(sorted(CLOUDS)),
    st.sampled_from(sorted(FACTS.blocks)),
    st.sampled_from(sorted(FACTS.env_types)),
    st.data(),
)
def test_a_name_gives_its_dimensions_back(provider: str, block: str, env: str, data: st.DataObject) -> None:
    region = data.draw(st.sampled_from(sorted(CLOUDS[provider].regions)))
    row = {"provider": provider, "region": region, "building_block": block, "env_type": env}
    made = wishes.dimensions(row, CLOUDS, FACTS)
    cloud = CLOUDS[provider]
    assert parse(made.cluster_name) == (cloud.code.long, cloud.regions[region].long, block, env)
    assert len(made.location_code) == 4


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["values", "keycloak_topology", "x"]), Json, max_size=3))
def test_odd_documents_are_violations_and_never_tracebacks(extra: dict[str, Any]) -> None:
    rules.violations({**extra, "clusters": [{}]}, CLOUDS, FACTS, lambda name: False)


def test_a_repository_may_be_named_later_and_then_stays() -> None:
    none, named = document(), document(gitops={"remote": "https://git.example/x"})
    other = document(gitops={"remote": "https://git.example/y"})
    assert immutables.violations(none, named, FACTS) == []
    assert (
        immutables.violations(named, document(gitops={"remote": "https://git.example/x/", "author": "A <a@b>"}), FACTS)
        == []
    )
    for changed in (none, other):
        assert [v.field for v in immutables.violations(named, changed, FACTS)] == ["spec.gitops"]
