"""Another k3s in place of the one that runs; what is fetched comes from a real web server of the test."""

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_agent import commands
from catalyst_agent.machine import Machine, NotUpgraded
from catalyst_testkit.fake_kubectl import FakeKubectl

OLD, NEW = "v1.31.4+k3s1", "v1.32.1+k3s1"
Upgrade = pb.AgentCommand.Upgrade


def program(version: str) -> bytes:
    return f"#!/bin/sh\necho 'k3s version {version} (stand-in)'\n".encode()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and where the web shows it."""
    folder = tmp_path_factory.mktemp("shelf")
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A server that runs the old version; a restart leaves a mark."""
    (tmp_path / "k3s").write_bytes(program(OLD))
    restart = ("sh", "-c", f"echo x >> {tmp_path}/restarts")
    return Machine(k3s=tmp_path / "k3s", token=tmp_path / "token", service=restart, arch="x86_64")


def offered(shelf: tuple[Path, str], content: bytes, *, sha256: str = "", arch: str = "amd64") -> list[Upgrade.Binary]:
    folder, url = shelf
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return [Upgrade.Binary(arch=arch, url=f"{url}/{digest}", sha256=sha256 or digest)]


def restarts(machine: Machine) -> int:
    mark = machine.k3s.with_name("restarts")
    return len(mark.read_text().split()) if mark.exists() else 0


async def test_another_version_is_put_in_place_and_started(shelf: tuple[Path, str], machine: Machine) -> None:
    command = pb.AgentCommand(id=1, upgrade=Upgrade(version=NEW, binaries=offered(shelf, program(NEW))))
    answer = (await commands.obey(command, FakeKubectl(), machine))["command_result"]
    assert (answer.done, answer.code) == (True, "")
    assert (machine.k3s.read_bytes(), machine.k3s.stat().st_mode & 0o777) == (program(NEW), 0o755)
    (shelf[0] / hashlib.sha256(program(NEW)).hexdigest()).unlink()
    await machine.upgrade(NEW, command.upgrade.binaries)
    assert restarts(machine) == 2, "a repeat fetches nothing, but starts it once more"


async def test_what_is_not_what_was_promised_changes_nothing(shelf: tuple[Path, str], machine: Machine) -> None:
    for binaries, why in (
        (offered(shelf, program(NEW), sha256="0" * 64), "has the digest"),
        (offered(shelf, program(OLD)), f"is not k3s {NEW}"),
        (offered(shelf, program(NEW), arch="arm64"), "nobody has said where a server of amd64"),
        ([Upgrade.Binary(arch="amd64", url="file:///bin/sh", sha256="0" * 64)], "no address of the web"),
        ([Upgrade.Binary(arch="amd64", url=f"{shelf[1]}/none", sha256="0" * 64)], "cannot be fetched"),
    ):
        machine.k3s.write_bytes(program(OLD) + b"# as it was\n")
        with pytest.raises(NotUpgraded, match=re.escape(why)):
            await machine.upgrade(NEW, binaries)
        assert machine.k3s.read_bytes() == program(OLD) + b"# as it was\n"
    assert restarts(machine) == 0
    assert sorted(path.name for path in machine.k3s.parent.iterdir()) == ["k3s"]


async def test_a_service_that_does_not_start_is_told_with_its_words(shelf: tuple[Path, str], machine: Machine) -> None:
    broken = Machine(k3s=machine.k3s, service=("sh", "-c", "echo no memory; exit 1"), arch="x86_64")
    with pytest.raises(NotUpgraded, match="is in place, but its service did not start: no memory"):
        await broken.upgrade(NEW, offered(shelf, program(NEW)))


def test_the_authority_is_known_by_the_token_that_k3s_keeps(machine: Machine) -> None:
    assert machine.authority() == ""
    machine.token.write_text(f"K10{'ab' * 32}::server:secret\n")
    assert machine.authority() == "ab" * 32
    machine.token.write_text("secret\n")
    assert machine.authority() == "", "the short form tells of no authority"


@pytest.mark.parametrize(("asked", "times"), [("this", 1), ("before", 0), ("", 0)])
async def test_a_server_restarts_only_while_it_is_in_the_boot_that_is_meant(
    tmp_path: Path, asked: str, times: int
) -> None:
    (tmp_path / "boot").write_text("this\n")
    restart = ("sh", "-c", f"echo once >> {tmp_path}/restarts")
    machine = Machine(boot=tmp_path / "boot", restart=restart)
    command = pb.AgentCommand(id=1, reboot=pb.AgentCommand.Reboot(node="one", boot_id=asked))
    result = (await commands.obey(command, FakeKubectl(), machine))["command_result"]
    assert (result.done, result.code) == (True, "")
    assert (tmp_path / "restarts").exists() == bool(times)


@pytest.mark.parametrize("restart", [("false",), ("/nowhere/systemctl",)])
async def test_a_restart_that_is_refused_says_so(tmp_path: Path, restart: tuple[str, ...]) -> None:
    (tmp_path / "boot").write_text("this")
    command = pb.AgentCommand(id=1, reboot=pb.AgentCommand.Reboot(node="one", boot_id="this"))
    machine = Machine(boot=tmp_path / "boot", restart=restart)
    result = (await commands.obey(command, FakeKubectl(), machine))["command_result"]
    assert (result.code, restart[0] in result.message) == ("not_restarted", True)
