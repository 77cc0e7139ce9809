"""What each slot's agent acts with: nothing that is another slot's."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.spec import Selector, Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.outfits import (
    Outfit,
    Outfits,
    OutfitTaken,
    OutfitUnreadable,
    TrafficUnclear,
    _placed,
    plugin_of,
    read,
)
from catalyst_continuum.settings import ContinuumSettings
from catalyst_mesh import ChassisMetrics, PluginHost
from catalyst_mesh.plugins import NoSecrets, plugin_context
from catalyst_sdk import Manifest
from catalyst_sdk.continuum import Fencer
from prometheus_client import CollectorRegistry

from .manifests import EAST, WEST, having, stateful, stateless

REGIONS = {name: {"database": "127.0.0.1:1", "gateway": "127.0.0.1:2"} for name in (EAST, WEST)}
STATELESS = {"here": EAST, "regions": {EAST: {}, WEST: {}}}
DEMO = having(stateful(), switchover__mechanism="demo")


def spec(document: dict[str, Any]) -> Spec:
    return parse(document, House("shop"))


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-secret-of-gateways")
    return path


@pytest.fixture
def at_work() -> set[str]:
    return set()


@pytest.fixture
def outfits(tmp_path: Path, token: Path, at_work: set[str]) -> Outfits:
    host = PluginHost(kinds=["database_promoter"], metrics=ChassisMetrics(CollectorRegistry()))
    shared = {
        "database_promoter:demo": {"regions": REGIONS, "token_file": str(token)},
        "database_promoter:stateless": STATELESS,
    }
    host.load(plugin_context(tmp_path / "data", NoSecrets()), shared)
    (tmp_path / "slots").mkdir()
    settings = ContinuumSettings(
        data_folder=tmp_path, slots_folder=tmp_path / "slots", plugins=shared, gate_token_file=token
    )
    return Outfits(settings, host, {EAST: "127.0.0.1:7", WEST: "127.0.0.1:8"}, at_work.__contains__)


def file(tmp_path: Path, slot: str, **said: Any) -> None:
    (tmp_path / "slots" / f"{slot.replace('/', '.', 1)}.json").write_text(json.dumps(said))


async def test_what_the_settings_name_serves_one_slot_at_a_time(outfits: Outfits, at_work: set[str]) -> None:
    first = outfits.promoter("shop/a", spec(DEMO))
    outfits.gates("shop/a")
    at_work.add("shop/a")
    assert outfits.promoter("shop/a", spec(DEMO)) is first
    with pytest.raises(OutfitTaken, match=r"serves shop/a; shop/b needs a file .*shop\.b\.json"):
        outfits.promoter("shop/b", spec(DEMO))
    with pytest.raises(OutfitTaken, match="serves shop/a"):
        outfits.gates("shop/b")
    at_work.clear()
    assert outfits.promoter("shop/b", spec(DEMO)) is not first


async def test_a_slot_with_a_file_has_a_promoter_and_gateways_of_its_own(
    outfits: Outfits, at_work: set[str], tmp_path: Path
) -> None:
    first, gates = outfits.promoter("shop/a", spec(DEMO)), outfits.gates("shop/a")
    at_work.add("shop/a")
    other = {
        "regions": {EAST: {"database": "127.0.0.1:3", "gateway": "127.0.0.1:4"}},
        "token_file": str(tmp_path / "token"),
    }
    file(tmp_path, "shop/b.two", promoter=other, gates={EAST: "127.0.0.1:9"})
    assert outfits.promoter("shop/b.two", spec(DEMO)) is not first
    own = outfits.gates("shop/b.two")
    assert own is not None
    assert own is not gates
    assert len(outfits.closing) == 2
    file(tmp_path, "shop/c", promoter=other)
    assert outfits.gates("shop/c") is None


async def test_slots_without_a_database_share_the_settings_and_no_epochs(
    outfits: Outfits, at_work: set[str], tmp_path: Path
) -> None:
    wish = spec(stateless())
    at_work |= {"shop/a", "shop/b"}
    for slot, epoch in (("shop/a", 7), ("shop/b", 2)):
        await outfits.promoter(slot, wish).promote(region=EAST, epoch=epoch, run="", token=None)
    seen = [(await outfits.promoter(slot, wish).observe(region=EAST)).epoch for slot in ("shop/a", "shop/b")]
    assert seen == [7, 2]


async def test_a_file_that_cannot_be_read_is_said_and_nothing_else_is_taken(outfits: Outfits, tmp_path: Path) -> None:
    (tmp_path / "slots" / "shop.a.json").write_text("{")
    with pytest.raises(OutfitUnreadable, match=r"shop\.a\.json cannot be read"):
        outfits.promoter("shop/a", spec(DEMO))


def test_what_a_file_may_say() -> None:
    whole = json.dumps(
        {
            "promoter": {"a": 1},
            "gates": {"east": "192.0.2.1:80"},
            "gateTokenFile": "/t",
            "fencers": {"acme": {}},
            "traffic": {"x": {}},
        }
    )
    assert read(whole) == Outfit({"a": 1}, {"east": "192.0.2.1:80"}, Path("/t"), {"acme": {}}, {"x": {}})
    assert read("{}") == Outfit()
    for wrong in (
        "[]",
        '{"gate": {}}',
        '{"promoter": []}',
        '{"gates": {"east": "192.0.2.1"}}',
        '{"gateTokenFile": 7}',
        '{"fencers": []}',
        '{"traffic": {"acme": 1}}',
    ):
        with pytest.raises(ValueError, match=r"is an object|names an|is a path"):
            read(wrong)


def test_a_wish_for_clusters_is_asked_of_the_plugin_for_clusters_and_of_those_that_it_names() -> None:
    wish = spec(having(stateful(), database__clusters={EAST: {"name": "orders"}, WEST: {"name": "shop"}}))
    assert plugin_of(wish) == "cnpg"
    shared = {
        "regions": {
            name: {"api": f"https://{name}", "namespace": "shop", "cluster": "shop", "database": "postgresql://x"}
            for name in (EAST, WEST)
        }
    }
    placed = _placed(shared, wish)["regions"]
    assert placed[EAST] == {"api": f"https://{EAST}", "namespace": "shop", "cluster": "orders"}
    assert placed[WEST] == shared["regions"][WEST]


class Installed:
    """A host with one fencer, which other regions can ask as well, where it says so."""

    def __init__(self) -> None:
        self.can: tuple[str, ...] = ("remote",)
        self.asked: list[tuple[str, str, dict[str, Any], str]] = []

    def manifest(self, kind: str, name: str) -> Manifest:
        return Manifest(kind, name, ">=1,<2", self.can)

    def instance(self, kind: str, name: str, config: dict[str, Any], *, part: str) -> Fencer:
        self.asked.append((kind, name, config, part))
        fencer: Any = SimpleNamespace(level=3, local=True, worst_case=2.0, fence=None, unfence=None, observe=None)
        return fencer


@pytest.fixture
def installed() -> Installed:
    return Installed()


@pytest.fixture
def walled(tmp_path: Path, installed: Any, at_work: set[str]) -> Outfits:
    (tmp_path / "slots").mkdir()
    settings = ContinuumSettings(
        data_folder=tmp_path, slots_folder=tmp_path / "slots", plugins={"fencer:acme": {"url": "https://one"}}
    )
    return Outfits(settings, installed, {}, at_work.__contains__)


def test_a_fencer_of_the_settings_serves_one_slot_and_others_have_their_own(
    tmp_path: Path, walled: Outfits, installed: Installed, at_work: set[str]
) -> None:
    file(tmp_path, "shop/b", fencers={"acme": {"url": "https://two"}})
    file(tmp_path, "shop/c", fencers={})
    found = walled.fencers("shop/a")
    assert [(one.local, one.level) for one in found] == [(True, 3), (False, 3)], "of its region, and from elsewhere"
    assert walled.fencers("shop/a") is found, "made once"
    at_work.add("shop/a")
    walled.fencers("shop/b")
    assert walled.fencers("shop/c") == ()
    assert installed.asked == [
        ("fencer", "acme", {"url": "https://one"}, "shop.a"), ("fencer", "acme", {"url": "https://two"}, "shop.b")
    ]  # fmt: skip
    with pytest.raises(OutfitTaken, match=r"shop\.d\.json"):
        walled.fencers("shop/d")


def test_a_fencer_that_only_its_own_region_can_ask_is_asked_from_nowhere_else(
    walled: Outfits, installed: Installed
) -> None:
    installed.can = ()
    assert [one.local for one in walled.fencers("shop/a")] == [True]


def test_the_plugin_of_the_settings_leads_the_names_of_every_slot_whose_file_names_no_other(
    tmp_path: Path, installed: Any, at_work: set[str]
) -> None:
    (tmp_path / "slots").mkdir()
    settings = ContinuumSettings(
        data_folder=tmp_path, slots_folder=tmp_path / "slots", plugins={"traffic:acme": {"url": "https://one"}}
    )
    outfits = Outfits(settings, installed, {}, at_work.__contains__)
    file(tmp_path, "shop/b", traffic={"blue": {}})
    file(tmp_path, "shop/c", traffic={})
    file(tmp_path, "shop/d", traffic={"acme": {}, "blue": {}})
    at_work |= {"shop/a", "shop/b"}
    found = {slot: outfits.driver(slot) for slot in ("shop/a", "shop/b", "shop/c", "shop/e")}
    assert {slot: one and one[0] for slot, one in found.items()} == {
        "shop/a": "acme", "shop/b": "blue", "shop/c": None, "shop/e": "acme"
    }  # fmt: skip
    assert installed.asked[0] == ("traffic", "acme", {"url": "https://one"}, "shop.a")
    with pytest.raises(TrafficUnclear, match=r"several plugins for it \(acme, blue\)"):
        outfits.driver("shop/d")
    with pytest.raises(TrafficUnclear, match="to the holder alone, and the wish asks for pickwhashed"):
        outfits.driver("shop/a", Selector.PICKWHASHED)
