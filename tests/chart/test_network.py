"""Who may reach whom: the edges of the mesh, both ends of each, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from chartmaker.daemons import SERVICES, Found, found

from .charts import Rendered, render
from .test_rendering import EVERYTHING

GRPC = 7400


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return render(home=tmp_path_factory.mktemp("helm"), values=EVERYTHING)


def peers(rule: dict[str, Any], end: str) -> Iterator[str]:
    for peer in rule.get(end, ()):
        if "podSelector" in peer and "namespaceSelector" not in peer:
            yield peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]


def edges(rendered: Rendered, direction: str, end: str) -> set[tuple[str, str]]:
    """(caller, callee) of every rule for gRPC between daemons, told from one of its ends."""
    names = {daemon.name for daemon in found()}
    told = set()
    for policy in rendered.of("NetworkPolicy"):
        own = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/name", "")
        for rule in policy["spec"].get(direction, ()):
            if own in names and GRPC in [port["port"] for port in rule["ports"]]:
                told |= {(peer, own) if direction == "ingress" else (own, peer) for peer in peers(rule, end)}
    return told


def test_both_ends_of_every_edge_and_no_other_are_open(rendered: Rendered) -> None:
    by_folder = {daemon.folder: daemon.name for daemon in found()}
    real = {(daemon.name, by_folder[peer]) for daemon in found() for peer in daemon.peers.values()}
    assert real
    assert edges(rendered, "ingress", "from") == real
    assert edges(rendered, "egress", "to") == real


def test_who_is_named_by_no_rule_is_denied(rendered: Rendered) -> None:
    deny = rendered.one("NetworkPolicy", "catalyst-default-deny")["spec"]
    assert sorted(deny["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    for name, pod in rendered.pods():
        assert deny["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items(), name


def test_only_what_people_and_agents_call_is_open_to_everybody(rendered: Rendered) -> None:
    wide = set()
    for policy in rendered.of("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            if not rule.get("from"):
                own = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                wide |= {(own, port["port"]) for port in rule["ports"]}
    assert wide == {
        ("gateway", 8080),
        ("provisioner", GRPC),
        ("provisioner", 7440),
        ("environment", 7450),
        ("powerdns", 5300),
    }


def test_nobody_reaches_the_metadata_of_the_cloud(rendered: Rendered) -> None:
    for policy in rendered.of("NetworkPolicy"):
        for rule in policy["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                    assert "169.254.0.0/16" in peer["ipBlock"]["except"]


def test_a_migration_reaches_its_stores_alone(rendered: Rendered) -> None:
    own = rendered.one("NetworkPolicy", "catalyst-migrate")["spec"]
    assert "ingress" not in own
    assert GRPC not in [port["port"] for rule in own["egress"] for port in rule["ports"]]


@pytest.mark.parametrize("daemon", found(), ids=lambda daemon: daemon.name)
def test_each_edge_of_the_mesh_is_a_target_that_the_code_connects_to(daemon: Found) -> None:
    """What the policies let through is what the settings name; here, that the code reaches by these names and no others.

    The chassis of each asks the daemon of Organizations, but for its own.
    """
    used = {
        name
        for path in (SERVICES / daemon.folder).rglob("catalyst_*/**/*.py")
        for name in re.findall(r"\.([a-z_]+[a-z]_target)\b", path.read_text())
    }
    chassis = set() if daemon.folder == "environment" else {"memberships_target"}
    assert used | chassis == set(daemon.peers)
