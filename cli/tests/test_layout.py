"""Where everything of `catalyst dev` listens, with one replica of each daemon or several."""

from importlib import import_module
from pathlib import Path

import pytest
from catalyst_cli.dev import recipes
from catalyst_cli.dev.layout import DAEMONS, PACKAGES, REPLICAS, SPAN, Layout
from catalyst_mesh import DaemonSettings

HOME = Path("/nonexistent")


@pytest.mark.parametrize("count", range(1, REPLICAS + 1))
def test_no_two_parts_listen_at_one_port_and_all_lie_near_the_base(count: int) -> None:
    ports = [port for _, port in Layout(HOME, 7400, count=count, has_cluster=True).ports()]
    assert len(set(ports)) == len(ports)
    assert max(ports) < 7400 + SPAN


def test_one_replica_is_named_and_found_as_ever() -> None:
    layout = Layout(HOME, 7400)
    assert [replica.name for replica in layout.all_replicas()] == list(DAEMONS)
    assert layout.target("catalog") == "127.0.0.1:7402"
    assert dict(layout.ports())["catalog (side)"] == 7403
    assert "postgres" not in dict(layout.ports())


def test_several_replicas_are_asked_together_and_each_is_told_its_own_ports() -> None:
    layout = Layout(HOME, 7400, count=2)
    assert layout.target("pdm") == "ipv4:127.0.0.1:7406,127.0.0.1:7456"
    first, second = (recipes.environment(layout, replica, 1.0) for replica in layout.replicas("provisioner"))
    assert [e["CATALYST_PROVISIONER_LISTEN"] for e in (first, second)] == ["127.0.0.1:7404", "127.0.0.1:7454"]
    assert [e["CATALYST_PROVISIONER_SIDE_LISTEN"] for e in (first, second)] == ["127.0.0.1:7405", "127.0.0.1:7455"]
    same = ("DATA_FOLDER", "DATABASE_URL", "GIT_LISTEN", "PUBLIC_URL", "SHARED_PORTS", "PDM_TARGET")
    assert all(first[f"CATALYST_PROVISIONER_{key}"] == second[f"CATALYST_PROVISIONER_{key}"] for key in same)


def test_replicas_of_the_gateway_are_reached_at_one_address() -> None:
    layout = Layout(HOME, 7400, count=3)
    told = [recipes.environment(layout, replica, 1.0) for replica in layout.replicas("gateway")]
    assert {e["CATALYST_GATEWAY_HTTP_LISTEN"] for e in told} == {"127.0.0.1:7400"}
    assert len({e["CATALYST_GATEWAY_SIDE_LISTEN"] for e in told}) == 3


def test_who_starts_it_configures_plugins_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told = '{"registrar:acme": {"url": "http://127.0.0.1:1"}}'
    monkeypatch.setenv("CATALYST_PDM_PLUGINS", told)
    monkeypatch.setenv("CATALYST_PDM_LISTEN", "0.0.0.0:1")
    layout = Layout(HOME, 7400)
    by_name = {one.daemon: recipes.environment(layout, one, 1.0) for one in layout.all_replicas()}
    assert by_name["pdm"]["CATALYST_PDM_PLUGINS"] == told
    assert by_name["pdm"]["CATALYST_PDM_LISTEN"] == "127.0.0.1:7406"
    assert not any("PDM_PLUGINS" in key for name, e in by_name.items() if name != "pdm" for key in e)


def settings_of(name: str) -> type[DaemonSettings]:
    module = import_module(f"{PACKAGES[name]}.settings")
    return next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, DaemonSettings) and kind.__module__ == module.__name__
    )


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("server", ["embedded", "powerdns"])
@pytest.mark.parametrize("regions", [False, True], ids=["alone", "regions"])
@pytest.mark.parametrize("count", range(1, REPLICAS + 1))
def test_each_daemon_can_use_what_it_is_told(name: str, server: str, regions: bool, count: int) -> None:
    layout = Layout(HOME, 7400, count=count, dns_server=server, has_regions=regions)
    for replica in layout.replicas(name):
        told = recipes.environment(layout, replica, 0.05)
        settings_of(name).load(told, [])  # a SettingsFault names what it cannot use
