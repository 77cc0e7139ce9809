"""What plans remember of the plugins that they were made with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from catalyst_provisioner.clouds import CloudPlugins


def plugins(module: Path | None) -> CloudPlugins:
    native = SimpleNamespace(manifest=SimpleNamespace(provider="sandbox"))
    made = SimpleNamespace(manifest=SimpleNamespace(provider="hetzner"), module=module)
    loaded = [
        SimpleNamespace(kind="cloud_provider", name=n, version="1.2.3", failure="") for n in ("hetzner", "sandbox")
    ]
    by_name = {"sandbox": native, "hetzner": made}
    host: Any = SimpleNamespace(names=lambda kind: list(by_name), get=lambda kind, name: by_name[name], plugins=loaded)
    return CloudPlugins(host)


def test_a_module_that_was_replaced_has_another_digest_and_a_native_plugin_has_none(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("# one")
    clouds = plugins(tmp_path)
    before = clouds.module_digests(["sandbox", "hetzner", "hetzner"])
    assert set(before) == {"hetzner"}
    assert clouds.module_digests(["hetzner"]) == before
    (tmp_path / "main.tf").write_text("# two")
    assert clouds.module_digests(["hetzner"]) != before


def test_versions_are_those_of_the_plugins_in_use(tmp_path: Path) -> None:
    assert plugins(None).versions(["sandbox", "nowhere"]) == {"cloud_provider:sandbox": "1.2.3"}
