"""Clusters over the real tool, the fake provider and the fake API: made, scaled, mended, taken away."""

import base64
import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_cloud_hetzner.provider import HetznerCloud
from catalyst_sdk import Permanent, SecretRef
from catalyst_sdk.cloud import Action, Adopted, ClusterRequest, InfraPlan, NodePool
from catalyst_sdk.tofu import states
from catalyst_testkit.cloud_bench import ENROLMENT_CANARY, DyingLedger, cluster_request
from catalyst_testkit.cloud_suite import applied

COMMANDS = {"hostname", "preserve_hostname", "package_update", "packages", "ssh_pwauth", "disable_root", "users", "swap",
            "write_files", "runcmd"}  # fmt: skip
"""Modules of cloud-init that the boot uses; a misspelt one would be passed over in silence."""
DOER = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE, Action.IMPORT)


def request(bench: Any, *, planes: int = 1, workers: int = 1) -> ClusterRequest:
    return replace(cluster_request(bench, workers=workers), control_plane=NodePool("cp", bench.size, planes))


def done(plan: InfraPlan) -> list[tuple[str, str]]:
    return sorted((str(c.action), c.kind) for c in plan.changes if c.action in DOER)


async def test_one_control_plane_becomes_three_behind_a_private_balancer_and_nothing_is_replaced(hetzner) -> None:
    ledger, wished = DyingLedger(hetzner), request(hetzner, planes=3, workers=4)
    await applied(hetzner, ledger, request(hetzner, workers=2))
    plugin = hetzner.plugin()
    plan = await plugin.plan(request=wished, work=ledger)
    assert done(plan) == [("create", "load_balancer")] + [("create", "server")] * 4
    paid = {
        (line.kind, line.size): line.price.month_minor for line in plan.cost if line.price and line.price.month_minor
    }
    assert paid == {("load_balancer", "lb11"): 539, ("server", hetzner.size): 379}, "what the cloud asks now"
    facts = await plugin.apply(plan=plan, work=ledger)
    doors = {balancer.purpose: balancer.ports for balancer in facts.load_balancers}
    assert doors == {"ingress": {"http": 80, "https": 443}, "api": {}}
    assert facts.api_endpoint == "https://10.0.1.250:6443"
    planes = [server.private_ip for server in facts.servers if server.role == "control_plane"]
    assert sorted(planes) == ["10.0.1.2", "10.0.1.3", "10.0.1.4"]
    assert len(facts.servers) == 7
    api = next(doc for _, doc in hetzner.project.all("load_balancer") if "-api-" in doc["name"])
    (network,) = api["networks"].values()
    assert network["enable_public_interface"] is False
    (target,) = api["targets"]
    assert target.endswith("openova.io/role=control-plane")
    assert not any("6443" in str(doc["rule"]) for _, doc in hetzner.project.all("firewall"))
    assert (await plugin.plan(request=wished, work=ledger)).is_empty
    _every_server_boots_from_a_sound_document(hetzner)


def _every_server_boots_from_a_sound_document(bench: Any) -> None:
    for _, doc in bench.project.all("server"):
        text = doc["user_data"]
        assert text.startswith("#cloud-config\n")
        assert len(text.encode()) <= 8192
        assert bench.canary not in text, "the token of the project is in what every pod can read"
        assert text.count(ENROLMENT_CANARY) == 1
        config = yaml.safe_load(text)
        assert set(config) <= COMMANDS
        assert config["hostname"] == doc["name"]
        files = {file["path"]: file for file in config["write_files"]}
        assert files["/etc/catalyst/enrolment.json"]["permissions"] == "0600"
        assert yaml.safe_load(files["/etc/catalyst/sovereign.json"]["content"])["sans"][0] == "10.0.1.250"
        script = files["/usr/local/sbin/catalyst-boot"]["content"]
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert config["runcmd"] == [["/usr/local/sbin/catalyst-boot"]]


async def test_what_was_changed_or_deleted_by_hand_is_drift_and_healed_by_the_next_apply(hetzner) -> None:
    ledger, wished = DyingLedger(hetzner), request(hetzner, workers=2)
    await applied(hetzner, ledger, wished)
    assert [c for c in await hetzner.plugin().drift(work=ledger) if c.action is not Action.NO_OP] == []
    servers = {doc["name"]: doc for _, doc in hetzner.project.all("server")}
    hetzner.project.delete("server", servers["suite-one-general-w2-k3x9"]["id"])
    hetzner.project.update("server", servers["suite-one-general-w1-k3x9"]["id"], server_type="cx33")
    (balancer,) = hetzner.project.all("load_balancer")
    hetzner.project.delete("load_balancer", balancer[1]["id"])
    drift = {c.name: c.action for c in await hetzner.plugin().drift(work=ledger)}
    assert drift["suite-one-general-w2-k3x9"] is Action.DELETE
    assert drift["suite-one-general-w1-k3x9"] is Action.UPDATE
    assert drift["suite-one-lb-k3x9"] is Action.DELETE
    plan = await applied(hetzner, ledger, wished)
    assert done(plan) == [("create", "load_balancer"), ("create", "server"), ("update", "server")]
    assert (await hetzner.plugin().plan(request=wished, work=ledger)).is_empty


async def test_what_was_made_by_hand_is_imported_keeps_its_name_and_is_never_made_again(hetzner) -> None:
    ledger, wished, by_hand = DyingLedger(hetzner), request(hetzner, workers=0), {"team": "ops"}
    subnet = {"id": "", "network_id": 0, "type": "cloud", "network_zone": "eu-central", "ip_range": wished.subnet_cidr}
    network = hetzner.project.create(
        "network", {"name": "old-net", "labels": by_hand, "ip_range": wished.node_cidr, "subnets": {}}
    )
    whole = {**subnet, "network_id": network, "id": f"{network}-{wished.subnet_cidr}"}
    hetzner.project.put_part("network", network, "subnets", wished.subnet_cidr, whole)
    server = hetzner.project.create(
        "server",
        {"name": "old-server", "labels": by_hand, "location": "fsn1", "server_type": "cx33", "image": "debian-12"},
    )
    wished = replace(
        wished,
        adopted={
            "hcloud_network.main": Adopted("old-net", str(network)),
            'hcloud_server.node["suite-one-cp1-k3x9"]': Adopted("old-server", str(server)),
        },
    )
    plan = await applied(hetzner, ledger, wished)
    imported = {c.name for c in plan.changes if c.action is Action.IMPORT}
    assert imported == {"old-net", "old-server"}
    assert not plan.findings
    assert {c.kind for c in plan.changes if c.action is Action.CREATE} == {
        "firewall", "load_balancer", "placement_group", "ssh_key",
    }  # fmt: skip
    (kept,), (only,) = hetzner.project.all("server"), hetzner.project.all("network")
    assert (kept[1]["id"], kept[1]["name"], kept[1]["server_type"]) == (server, "old-server", "cx23")
    assert wished.labels.items() <= kept[1]["labels"].items()
    assert (only[1]["id"], only[1]["name"]) == (network, "old-net")
    assert {row.id for row in await ledger.rows()} >= {str(network), str(server)}
    assert (await hetzner.plugin().plan(request=wished, work=ledger)).is_empty
    await hetzner.plugin().destroy(work=ledger, keep=[str(network), str(server)])
    assert {doc["name"]: doc.get("subnets") for _, doc in hetzner.project.all()} == {
        "old-net": {wished.subnet_cidr: whole}, "old-server": None,
    }  # fmt: skip


async def test_a_fenced_and_protected_cluster_goes_with_all_that_others_made_in_it(hetzner) -> None:
    wished = request(hetzner)
    wished = replace(wished, labels={**wished.labels, "openova.io/env-type": "prod"})
    ledger = DyingLedger(hetzner)
    await applied(hetzner, ledger, wished)
    assert all(doc["delete_protection"] for _, doc in hetzner.project.all("server"))
    assert _doors(hetzner) == (1, 1)
    await hetzner.plugin().fence(work=ledger, fenced=True)
    assert _doors(hetzner) == (0, 0)
    for kind in ("volume", "load_balancer"):
        await hetzner.plant(kind=kind, name=f"made-by-a-controller-{kind}", region="fsn1", labels=wished.labels)
    rows = {(row.kind, row.id) for row in await ledger.rows()}
    for found in await hetzner.plugin().discover(labels=wished.labels, credential=hetzner.credential):
        if (found.kind, found.id) not in rows:
            await ledger.intend(kind=found.kind, name=found.name, region=found.region, labels=found.labels)
            await ledger.created(kind=found.kind, name=found.name, id=found.id)
    await hetzner.plugin().destroy(work=ledger)
    assert (await hetzner.world(), await ledger.rows()) == ([], [])


def _doors(bench: Any) -> tuple[int, int]:
    """Targets of the load balancer, and rules that let something in."""
    (balancer,), (firewall,) = bench.project.all("load_balancer"), bench.project.all("firewall")
    return len(balancer[1]["targets"]), len(firewall[1]["rule"])


def package_hash(folder: Path) -> str:
    """How the tool names the content of an unpacked package: the digest of its files' digests."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    return f"h1:{base64.b64encode(hashlib.sha256(''.join(lines).encode()).digest()).decode()}"


async def test_the_tool_takes_only_the_pinned_provider_and_a_token_by_its_environment(
    hetzner, mirrored: Callable[[Any], HetznerCloud]
) -> None:
    cloud, ledger, wished = mirrored(hetzner), DyingLedger(hetzner), request(hetzner)
    with pytest.raises(Permanent, match="checksums"):
        await cloud.plan(request=wished, work=ledger)
    (program,) = (hetzner.home / "mirror").rglob("terraform-provider-*")
    cloud.providers = (replace(cloud.providers[0], hashes=(package_hash(program.parent),)),)
    ledger.credential = SecretRef("reader")
    plan = await cloud.plan(request=wished, work=ledger)
    with pytest.raises(Permanent) as failure:
        await cloud.apply(plan=plan, work=ledger)
    assert (failure.value.reason, failure.value.provider_code) == ("AUTH", "token_readonly")
    assert await hetzner.world() == []
    kept = states.decoded(await ledger.read_state()).tool
    assert not [token for token in (hetzner.canary, ENROLMENT_CANARY) if token in kept]


def test_the_module_is_formatted(tool: str) -> None:
    words = [tool, "fmt", "-check", "-diff", str(HetznerCloud.module)]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
