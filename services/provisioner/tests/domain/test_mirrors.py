"""An air gap: what is refused, and that a tree names nothing outside."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from catalyst_provisioner.data import reference
from catalyst_provisioner.domain import layouts, mirrors, rules, trees, wishes
from catalyst_provisioner.domain.locks import Component, Lock
from catalyst_provisioner.domain.mirrors import Mirror
from catalyst_provisioner.domain.reference import Code

from .test_plans import tree_facts
from .test_rules import cluster, document

FACTS = reference()
PLACES = {name: Code(name, name[0]) for name in ("east", "west", "north")}
CLOUDS = {
    "sandbox": wishes.Cloud("sandbox", Code("sb", "b"), PLACES, True, capabilities=frozenset({"air_gap"})),
    "tethered": wishes.Cloud("tethered", Code("te", "t"), {"one": Code("one", "o")}),
}
OURS = {"source": "registry.catalyst.invalid", "endpoint": "oci://mirror.acme.example/all"}
ALONE = cluster(region="west")
FULL = cluster(hosts=["mgt", "rtz", "dmz"])
GAP: dict[str, Any] = {"clusters": [FULL, ALONE], "air_gap": {"mirrors": [OURS]}}


def wrong(**changes: Any) -> set[str]:
    full = layouts.expanded({k: v for k, v in document(**{**GAP, **changes}).items() if v}, CLOUDS, FACTS)
    return {violation.field for violation in rules.violations(full, CLOUDS, FACTS, lambda name: False)}


def test_a_spec_with_mirrors_and_a_cluster_for_them_has_nothing_against_it() -> None:
    assert wrong() == set()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"clusters": [FULL]}, {"spec.air_gap"}),
        ({"clusters": [FULL, ALONE, cluster(region="west", building_block="rtz")]}, {"spec.air_gap"}),
        ({"clusters": [FULL, ALONE, cluster(provider="tethered", region="one")]}, {"spec.air_gap"}),
        ({"air_gap": {"mirrors": [{**OURS, "source": "ghcr.io"}]}}, {"spec.air_gap.mirrors"}),
        ({"air_gap": {"mirrors": [OURS, OURS]}}, {"spec.air_gap.mirrors"}),
        ({"air_gap": {"mirrors": [OURS, {"source": "https://ghcr.io", "endpoint": "https://m.example"}]}},
         {"spec.air_gap.mirrors[1].source"}),
        ({"air_gap": {"mirrors": [{**OURS, "endpoint": "http://m.example"}]}}, {"spec.air_gap.mirrors[0].endpoint"}),
        ({"air_gap": {"mirrors": [{**OURS, "endpoint": "https://u:p@m.example"}]}}, {"spec.air_gap.mirrors[0].endpoint"}),
        ({"air_gap": {"mirrors": [{**OURS, "endpoint": "oci://registry.catalyst.invalid"}]}},
         {"spec.air_gap.mirrors[0].endpoint"}),
        ({"air_gap": {"mirrors": [{**OURS, "ca_bundle": "trust me"}]}}, {"spec.air_gap.mirrors[0].ca_bundle"}),
        ({"air_gap": {"mirrors": [{**OURS, "credential": {"name": "credentials/m"}}, {**OURS, "source": "ghcr.io"}]}},
         {"spec.air_gap.mirrors[1]"}),
    ],
)  # fmt: skip
def test_what_would_need_the_outside_is_refused(changes: dict[str, Any], fields: set[str]) -> None:
    assert wrong(**changes) == fields


def test_a_layout_with_an_air_gap_has_a_region_more_with_the_cluster_of_the_mirrors() -> None:
    defaults = {
        "control_plane": {"size": "sb8", "count": 1}, "provider": "sandbox",
        "credentials": {"sandbox": {"name": "credentials/acme"}},
    }  # fmt: skip
    short = {"clusters": None, "topology": "compact+air-gap", "cluster_defaults": defaults}
    assert wrong(**short, regions=["east", "west", "north"]) == set()
    assert wrong(**short, regions=["east", "west"]) == {"spec.regions"}
    assert wrong(**short, regions=["east", "west", "north"], air_gap=None) == {"spec.air_gap"}
    raw = {k: v for k, v in document(**{**GAP, **short}, regions=["east", "west", "north"]).items() if v}
    found = wishes.read(layouts.expanded(raw, CLOUDS, FACTS), CLOUDS, FACTS)
    assert [(c.region, c.hosts) for c in found.clusters] == [
        ("east", ("mgt", "rtz", "dmz")), ("west", ("mgt", "rtz", "dmz")), ("north", ("mgt",)),
    ]  # fmt: skip


def test_the_mirror_with_the_longest_source_stands_in_its_place() -> None:
    found = [Mirror("ghcr.io", "https://m.example"), Mirror("ghcr.io/acme", "oci://other.example/x/")]
    assert mirrors.rewritten("ghcr.io/acme/web", found) == "other.example/x/web"
    assert mirrors.rewritten("ghcr.io/acmes/web", found) == "m.example/acmes/web"
    assert mirrors.rewritten("ghcr.io.evil.example/web", found) == "ghcr.io.evil.example/web"


def test_a_tree_with_mirrors_names_nothing_else() -> None:
    lock = Lock("sha256:1", (Component("bp-a", "1", "sha256:a"), Component("bp-b", "2", "sha256:b", ("bp-a",))))
    asked = replace(
        tree_facts(), registry=mirrors.REGISTRY,
        mirrors=(Mirror("registry.catalyst.invalid", "oci://mirror.acme.example/all"),
                 Mirror("docker.io", "https://mirror.acme.example")),
    )  # fmt: skip
    files = trees.render(asked, lock)
    hosts = {found for content in files.values() for found in re.findall(rb"(?:https?|oci)://([^/\"\\]+)", content)}
    assert hosts == {b"mirror.acme.example"}
    root = "clusters/a.b/sb-east-mgt-dev"
    source = json.loads(files[f"{root}/sources/bp-a.yaml"][4:])["spec"]
    assert source["url"] == "oci://mirror.acme.example/all/blueprints/bp-a"
    assert source["ref"]["digest"] == "sha256:a"
    told = json.loads(json.loads(files[f"{root}/config/registries.yaml"][4:])["data"]["registries.yaml"])
    assert told["mirrors"] == {
        "registry.catalyst.invalid": {
            "endpoint": ["https://mirror.acme.example"], "rewrite": {"^(.*)": "all/$1"}
        },
        "docker.io": {"endpoint": ["https://mirror.acme.example"], "rewrite": {}},
    }  # fmt: skip
