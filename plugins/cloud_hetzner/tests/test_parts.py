"""Facts, keys, wishes, findings, errors: what needs no tool. And the fake API, by the official client."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_cloud_hetzner import lock_key, preflight, wishes
from catalyst_cloud_hetzner.api import HetznerApi
from catalyst_cloud_hetzner.facts import DATA, facts
from catalyst_cloud_hetzner.plugin import catalyst_plugin
from catalyst_cloud_hetzner.provider import HetznerCloud
from catalyst_sdk import Permanent, RateLimited, Secret, SecretRef, Temporary
from catalyst_sdk.cloud import ClusterRequest, Listener, NodePool, Offer, OfferQuery
from catalyst_sdk.context import PluginContext
from catalyst_sdk.tofu import Diagnostic
from catalyst_testkit.cloud_bench import Vault
from catalyst_testkit.files_cloud.bench import Silence, SystemClock
from fake_api import FakeHetznerApi
from fake_world import World

pytest.importorskip("hcloud", reason="hcloud is not installed (script/bootstrap)")

TABLE = Path("services/provisioner/catalyst_provisioner/data/providers.yaml")
FRAMEWORK = "It failed.\n\nError code: rate_limit_exceeded\nStatus code: 429\n"
WRITER, READER = "w".ljust(64, "0"), "r".ljust(64, "0")
REQUEST = ClusterRequest(
    "sovereigns/acme", "acme.example", "hz-fsn-mgt-prod", "k3x9", "fsn1", {"openova.io/env-type": "prod"},
    NodePool("cp", "cpx32", 3), (NodePool("general", "cax21", 2), NodePool("none", "cx23", 0)),
)  # fmt: skip


def test_the_facts_are_those_of_the_table_that_the_provisioner_has() -> None:
    table = yaml.safe_load(TABLE.read_text())
    hetzner, own = table["providers"]["hetzner"], json.loads((DATA / "facts.json").read_text())
    assert own["sizes"] == hetzner["sizes"]
    assert own["regions"] == hetzner["regions"]
    assert own["error_classes"] == table["error_classes"]["hetzner"]
    assert own["superseded_sizes"] == hetzner["superseded_sizes"]
    assert own["image"] == table["versions"]["image"]
    pins = HetznerCloud.providers
    assert [pin.source for pin in pins] == ["hetznercloud/hcloud"]
    assert table["versions"]["hcloud_provider"]["constraint"] == "~> 1.49"
    assert pins[0].version.startswith("1.")
    assert all(one.startswith("zh:") for one in pins[0].hashes)


def test_a_month_is_a_cap_and_what_the_table_does_not_know_has_no_price() -> None:
    price = facts().price("server", "cx23", "fsn1")
    assert price is not None
    assert (price.hour_micros, price.month_minor, price.capped) == (6400, 399, True)
    assert facts().price("server", "cx23", "ash") is None
    assert facts().price("load_balancer", "lb11", "fsn1") is None
    network = facts().price("network", "", "fsn1")
    assert network is not None
    assert network.month_minor == 0


def test_a_lock_key_is_a_point_that_its_name_decides() -> None:
    key = lock_key.lock_key("one")
    assert key == lock_key.lock_key("one") != lock_key.lock_key("two")
    assert key.startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert lock_key.is_point(
        bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    )  # RFC 8032
    assert not lock_key.is_point(b"\xff" * 32)


def test_equal_requests_give_equal_variables_and_empty_pools_none() -> None:
    variables = wishes.variables(REQUEST, image="ubuntu-24.04", binaries={})
    assert variables == wishes.variables(replace(REQUEST), image="ubuntu-24.04", binaries={})
    assert variables["worker_pools"] == {"general": {"size": "cax21", "arch": "arm64", "count": 2}}
    assert (variables["network_zone"], variables["protection"]) == ("eu-central", True)
    assert wishes.needed_arches(REQUEST) == ["amd64", "arm64"]


def offers(*sizes: str, stock: int | None = None) -> list[Offer]:
    return [Offer("server", size, "fsn1", stock=stock) for size in sizes]


def found(
    request: ClusterRequest, sold: Sequence[Offer], binaries: Sequence[str] = ("amd64", "arm64")
) -> set[tuple[str, str]]:
    names = {"fsn1": "Falkenstein", "sin": "Singapore"}
    told = preflight.findings(request, offers=sold, names=names, binaries=binaries)
    return {(finding.code, finding.path) for finding in told}


SOLD = offers("cpx32", "cax21")
LISTENERS = tuple(Listener(port, 30000 + port) for port in range(80, 110))


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({}, None),
        ({"region": "mars1"}, ("region.unknown", "region")),
        ({"region": "sin"}, ("region.unknown", "region")),
        ({"control_plane": NodePool("cp", "cx99", 1)}, ("size.unknown", "control_plane.size")),
        ({"worker_pools": (NodePool("a", "x1", 1),)}, ("size.unknown", "worker_pools[0].size")),
        ({"pod_cidr": "10.0.0.0/15"}, ("cidr.overlap", "pod_cidr")),
        ({"node_cidr": "203.0.112.0/20"}, ("cidr.public", "node_cidr")),
        ({"subnet_cidr": "10.9.1.0/24"}, ("cidr.outside", "subnet_cidr")),
        ({"subnet_cidr": "10.0.1.0/28"}, ("cidr.small", "subnet_cidr")),
        ({"node_cidr": "10.0.1.0/25"}, ("cidr.small", "node_cidr")),
        ({"load_balancer": "lb99"}, ("size.unknown", "load_balancer.type")),
        ({"listeners": LISTENERS[:5]}, None),
        ({"listeners": LISTENERS[:6]}, ("load_balancer.listeners", "load_balancer.type")),
        ({"listeners": LISTENERS[:30], "load_balancer": "lb31"}, None),
        ({"worker_pools": (NodePool("a", "cax21", 22),)}, None),
        ({"worker_pools": (NodePool("a", "cax21", 23),)}, ("load_balancer.targets", "load_balancer.type")),
        ({"worker_pools": (NodePool("a", "cax21", 95),), "load_balancer": "lb31"}, None),
        ({"worker_pools": (NodePool("a", "cax21", 96),), "load_balancer": "lb31"}, ("network.members", "worker_pools")),
        ({"ssh_allowed_cidrs": ("203.0.113.0/24",) * 101}, ("firewall.sources", "access.ssh_allowed_cidrs")),
        ({"api_public": True}, ("api.public", "api.public")),
    ],
)
def test_what_is_wrong_with_a_request_is_found_before_anything_is_made(changes: Any, finding: Any) -> None:
    assert found(replace(REQUEST, **changes), SOLD) == ({finding} if finding else set())


def test_stock_withdrawal_and_missing_binaries_are_found() -> None:
    assert ("capacity.size", "control_plane.size") in found(REQUEST, offers("cpx32", "cax21", stock=0))
    withdrawn = [replace(offer, deprecated=True) for offer in SOLD]
    assert ("size.deprecated", "control_plane.size") in found(REQUEST, withdrawn)
    assert found(replace(REQUEST, allow_deprecated=True), withdrawn) == set()
    assert found(REQUEST, SOLD, binaries=["amd64"]) == {("boot.binaries_missing", "provider")}


@pytest.fixture
def cloud(tmp_path: Path, api: FakeHetznerApi) -> HetznerCloud:
    vault = Vault(good=WRITER, reader=READER, short="w" * 10, other="x" * 64)
    return catalyst_plugin(PluginContext(SystemClock(), Silence(), vault, tmp_path, {"endpoint": api.endpoint}))


def test_servers_fetch_the_version_that_is_configured_and_no_other(tmp_path: Path) -> None:
    row = {"k3s_version": "v1.31.4+k3s1", "k3s_url": "https://binaries.example/k3s", "k3s_sha256": "a" * 64}
    config = {"binaries": {"amd64": row, "arm64": row | {"k3s_version": "v1.32.1+k3s1"}}}
    made = catalyst_plugin(PluginContext(SystemClock(), Silence(), Vault(), tmp_path, config))
    assert [(one.arch, one.url) for one in made.binaries(version="v1.31.4+k3s1")] == [("amd64", row["k3s_url"])]
    assert made.binaries(version="v1.33.0+k3s1") == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Diagnostic("error", "Service Error (service_error)"), "service_error"),
        (Diagnostic("error", "no (resource_unavailable, 0a1b2c3d)"), "resource_unavailable"),
        (Diagnostic("error", "Invalid Input (invalid_input): [ip => [invalid field]]"), "invalid_input"),
        (Diagnostic("error", "API request failed", FRAMEWORK), "rate_limit_exceeded"),
        (Diagnostic("error", "Reference to undeclared resource"), ""),
        (Diagnostic("error", "words (in brackets) within"), ""),
    ],
)  # fmt: skip
def test_the_code_is_read_where_the_provider_puts_it(cloud: HetznerCloud, said: Diagnostic, code: str) -> None:
    assert cloud.classify(said) == code


@pytest.mark.parametrize(
    ("ref", "valid", "granted"),
    [("good", True, ("read", "write")), ("reader", False, ("read",)), ("short", False, ()), ("other", False, ())],
)
async def test_a_credential_is_proved_to_write_by_a_wish_that_cannot_come_true(
    cloud: HetznerCloud, project: World, ref: str, valid: bool, granted: tuple[str, ...]
) -> None:
    report = await cloud.check_credential(needed=["read", "write"], credential=SecretRef(ref))
    assert (report.valid, report.granted) == (valid, granted)
    assert project.all() == []


async def test_live_offers_win_and_the_table_stands_in_for_an_api_that_is_away(
    cloud: HetznerCloud, api: FakeHetznerApi
) -> None:
    query = OfferQuery(size="cx23", region="fsn1")
    (live,) = await cloud.offers(query=query, credential=SecretRef("good"))
    assert live.price is not None
    assert (live.price.hour_micros, live.price.month_minor, live.stock) == (6000, 379, None)
    api.sold_out.add("cx23")
    (none_left,) = await cloud.offers(query=query, credential=SecretRef("good"))
    assert none_left.stock == 0
    (old,) = await cloud.offers(query=OfferQuery(size="cx32", region="fsn1"), credential=SecretRef("good"))
    assert old.deprecated
    api.page = "<html>Bad Gateway</html>"
    (table,) = await cloud.offers(query=query, credential=SecretRef("good"))
    assert table.price is not None
    assert (table.price.month_minor, live.is_live, table.is_live) == (399, True, False)
    assert await cloud.offers(query=query, credential=SecretRef("")) == [table], "nobody has a credential yet"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("service_error", Temporary, ""),
        ("resource_limit_exceeded", Permanent, "QUOTA"),
        ("unauthorized", Permanent, "AUTH"),
        ("never_heard_of", Permanent, "UNKNOWN"),
    ],
)
async def test_refusals_of_the_api_become_the_errors_of_the_sdk(
    api: FakeHetznerApi, code: str, kind: type[Exception], reason: str
) -> None:
    api.refuse.append(code)
    with pytest.raises(kind) as refused:
        await HetznerApi(Secret(WRITER), api.endpoint).regions()
    assert getattr(refused.value, "reason", "") == reason
    assert refused.value.provider_code == code  # type: ignore[attr-defined]


async def test_a_page_in_place_of_json_may_pass(api: FakeHetznerApi) -> None:
    api.page = "<html>maintenance</html>"
    with pytest.raises(Temporary):
        await HetznerApi(Secret(WRITER), api.endpoint).labelled({"a": "b"})


async def test_what_is_found_is_all_of_it_over_many_pages(api: FakeHetznerApi, project: World) -> None:
    for number in range(120):
        project.create("server", {"name": f"s{number}", "labels": {"of": "us" if number % 2 else "them"}})
    found = await HetznerApi(Secret(WRITER), api.endpoint).labelled({"of": "us"})
    assert len(found) == 60
    named = await HetznerApi(Secret(WRITER), api.endpoint).named(
        [("server", "s2"), ("server", "s3"), ("network", "s4")]
    )
    assert sorted(one.name for one in named) == ["s2", "s3"]


def test_the_fake_answers_the_official_client_as_documented(api: FakeHetznerApi) -> None:
    from hcloud import APIException, Client
    from hcloud.images import Image
    from hcloud.server_types import ServerType

    client = Client(WRITER, api_endpoint=api.endpoint, poll_interval=0.01)
    made = client.servers.create(name="one", server_type=ServerType(name="cx23"), image=Image(name="ubuntu-24.04"))
    made.action.wait_until_finished()
    server = client.servers.get_by_name("one")
    assert server is not None
    assert client.servers.delete(server)
    with pytest.raises(APIException) as gone:
        client.servers.get_by_id(server.id)
    assert gone.value.code == "not_found"
    with pytest.raises(APIException) as refused:
        Client(READER, api_endpoint=api.endpoint).ssh_keys.create(name="a", public_key="b")
    assert refused.value.code == "token_readonly"


def test_a_rate_limit_is_waited_for_by_the_client_and_then_told(api: FakeHetznerApi) -> None:
    from catalyst_cloud_hetzner.api import failure

    assert isinstance(failure("rate_limit_exceeded", "slow down"), RateLimited)


def test_sizes_are_sold_and_superseded_where_they_are() -> None:
    table = facts()
    sold = {
        region: {size.id for size in table.sizes.values() if table.sells(size, region)} for region in ("fsn1", "ash")
    }
    assert {"cx33", "cax21", "cpx32", "ccx23"} <= sold["fsn1"]
    assert {size.rstrip("0123456789") for size in sold["ash"]} == {"ccx"}
    assert (table.is_superseded("cpx31", "fsn1"), table.is_superseded("cpx31", "ash")) == (True, False)
    assert not table.is_superseded("cpx32", "fsn1")
