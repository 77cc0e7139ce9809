"""What stands in an image: everything that its daemon needs, and nothing of another's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer, free_port
from chartmaker.closure import ROOT, Closure, closure
from chartmaker.daemons import LISTENERS, found

FOLDERS = [daemon.folder for daemon in found()]
PLUGINS = (
    "from importlib.metadata import entry_points; [each.load() for each in entry_points(group='catalyst.plugins')]"
)
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


@cache
def image(daemon: str) -> Closure:
    return closure(daemon)


def names(daemon: str) -> set[str]:
    return {entry.split("==")[0] for entry in image(daemon).locked}


@pytest.mark.parametrize("daemon", FOLDERS)
def test_an_image_holds_its_daemon_and_no_other(daemon: str) -> None:
    own = [path.relative_to(ROOT).parts for path in image(daemon).own]
    assert [parts[1] for parts in own if parts[0] == "services"] == [daemon]
    assert ("lib", "mesh") in own
    assert ("lib", "testkit") not in own


@pytest.mark.parametrize("daemon", FOLDERS)
def test_an_image_holds_no_tool_of_developers(daemon: str) -> None:
    assert not names(daemon) & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "grpcio-tools", "pip", "typer"}
    assert {"grpcio", "sqlalchemy", "greenlet", "asyncpg"} <= names(daemon)


def test_what_only_one_needs_stands_in_its_image_alone() -> None:
    assert [daemon for daemon in FOLDERS if "stripe" in names(daemon)] == ["billing"]
    assert [daemon for daemon in FOLDERS if "resolvelib" in names(daemon)] == ["catalog"]


def test_a_daemon_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "script/closure", "ledger"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "closure: services/ledger\n")


@pytest.fixture(scope="module", params=FOLDERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A daemon, and the environment that its image holds."""
    if not LONG:
        pytest.skip("an environment a daemon is made: HYPOTHESIS_PROFILE=long")
    home = tmp_path_factory.mktemp(request.param) / "image"
    subprocess.run(["script/image", request.param, str(home)], cwd=ROOT, check=True, capture_output=True)
    return request.param, home


def test_an_image_is_enough_for_its_daemon(built: tuple[str, Path], tmp_path: Path) -> None:
    for words in (["daemon", "--print-config"], ["python", "-c", PLUGINS]):
        program = built[1] / "bin" / words[0]
        done = subprocess.run(
            [program, *words[1:]],
            env={"PATH": os.environ["PATH"]},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("built", ["billing"], indirect=True)
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a root of its own needs root and unshare"
)
async def test_it_serves_as_the_charts_user_on_a_root_that_nobody_can_write(
    built: tuple[str, Path], nats: NatsServer, tmp_path: Path
) -> None:
    """What an engine would make of the image, but for its networks: the other half of `deploy/Containerfile`."""
    daemon, home = built
    with contained(daemon, home, nats.url, tmp_path) as (process, side):

        async def ready() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            async with httpx.AsyncClient() as client:
                try:
                    return (await client.get(f"http://127.0.0.1:{side}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

        await eventually(ready, within=60, what=f"{daemon} is ready")
        told = known_of(process.pid)
        assert set(told["Uid"].split()) | set(told["Gid"].split()) == {USER}
        assert {int(told[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {0}
        assert told["NoNewPrivs"] == "1"
        inside = Path(f"/proc/{process.pid}/root")
        assert not (inside / ROOT.relative_to("/") / "services").exists(), "nothing of the repository is there"
        for place in (inside, inside / home.relative_to("/")):
            with pytest.raises(OSError, match="Read-only"):
                (place / "new").touch()


USER = "10001"


def known_of(pid: int) -> dict[str, str]:
    """What the kernel tells of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: told.strip() for name, _, told in (line.partition(":") for line in lines)}


@contextmanager
def contained(daemon: str, home: Path, nats_url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The daemon in a root of its own, with a disk that ends with it; and the port of its probes."""
    (one,) = [each for each in found() if each.folder == daemon]
    data, ports = "/var/lib/catalyst", {name: free_port() for name in ("LISTEN", "SIDE_LISTEN")}
    settings = {
        "DATABASE_URL": f"sqlite+aiosqlite:///{data}/{daemon}.db",
        "DATA_FOLDER": data,
        "NATS_URL": nats_url,
        "JWKS_FILE": f"{data}/jwks.json",
        **{name: f"127.0.0.1:{port}" for name, port in ports.items()},
        **{
            setting.upper(): f"127.0.0.1:{free_port()}" for setting in LISTENERS if setting in one.settings.model_fields
        },
    }
    (folder / "root").mkdir()
    words = [folder / "root", USER, f"{sys.base_prefix},{home}", f"/tmp,{data}", home / "bin" / "daemon"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                sys.executable,
                Path(__file__).with_name("rooted.py"),
                *words,
            ],
            env={"PATH": os.environ["PATH"], **{one.prefix + name: text for name, text in settings.items()}},
            stdout=log,
            stderr=log,
        )  # fmt: skip - one call
    try:
        yield process, ports["SIDE_LISTEN"]
    finally:
        process.terminate()
        process.wait(60)
