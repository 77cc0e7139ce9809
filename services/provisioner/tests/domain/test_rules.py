"""What a spec may say."""

import base64
import struct
from typing import Any

import pytest
from catalyst_provisioner.data import reference
from catalyst_provisioner.domain import rules, wishes
from catalyst_provisioner.domain.naming import parse
from catalyst_provisioner.domain.reference import Code
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
    ],
)
def test_clusters(changes: dict[str, Any], field: str) -> None:
    assert wrong(clusters=[cluster(**changes)]) == {f"spec.clusters[0].{field}"}


def test_two_clusters_of_one_name_are_refused() -> None:
    assert wrong(clusters=[cluster(), cluster()]) == {"spec.clusters[1]"}


def test_a_topology_excludes_clusters_and_needs_its_regions() -> None:
    assert wrong(topology="solo", regions=["sandbox/east"], cluster_defaults={"control_plane": {"size": "sb8"}}) == {
        "spec.topology"
    }
    assert "spec.regions" in wrong(clusters=[], topology="dual", regions=["sandbox/east"])


def test_a_topology_is_written_out() -> None:
    defaults = {
        "control_plane": {"size": "sb8", "count": 1},
        "credentials": {"sandbox": CREDENTIAL},
        "provider": "sandbox",
    }
    raw = document(topology="zoned", regions=["east", "sandbox/west"], cluster_defaults=defaults)
    del raw["clusters"]
    full = rules.expanded(raw, CLOUDS, FACTS)
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
    assert [v.field for v in rules.changed_immutables(old, document())] == ["spec.clusters[0].control_plane.count"]
    assert rules.changed_immutables(document(), old) == []


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
        ("ssh-dss AAAA", False),
        ("", False),
    ],
)
def test_public_keys_are_parsed_and_not_only_matched(line: str, fine: bool) -> None:
    assert (rules.key_fault(line) == "") is fine


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
