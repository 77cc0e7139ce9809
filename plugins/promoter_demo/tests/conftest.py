"""The demo application in two regions, each a process of its own."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from catalyst_promoter_demo.promoter import DemoPromoter, configured
from catalyst_testkit.continuum.promoter_suite import PromoterBench
from catalyst_testkit.processes import PASSED_ON, Nursery, nursery
from catalyst_testkit.servers import folder, free_port
from catalyst_testkit.waiting import eventually_sync

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
PROGRAM = "catalyst_promoter_demo"


class Application:
    """`python -m catalyst_promoter_demo serve` in both regions; a restarted one keeps folder and ports."""

    def __init__(self, home: Path, nursery: Nursery) -> None:
        self.home = home
        self._nursery = nursery
        self.ports: Mapping[str, tuple[int, int]] = {region: (free_port(), free_port()) for region in (EAST, WEST)}
        self._pids: dict[str, int] = {}
        single = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=60, trust_env=False, limits=single)

    def promoter(self) -> DemoPromoter:
        """The plugin, configured for these two."""
        regions = {
            region: {"database": f"127.0.0.1:{database}", "gateway": f"127.0.0.1:{gateway}"}
            for region, (database, gateway) in self.ports.items()
        }
        return DemoPromoter(configured({"regions": regions, "token_file": str(self.home / "token")}))

    def found(self) -> None:
        """Make the first copy, in the east."""
        pid = self._fork("init", "--folder", str(self.home / EAST), "--region", EAST)
        assert eventually_sync(lambda: self._ended(pid), within=60, what="the first copy is made") == "ended with 0"

    def start(self, region: str, *more: str) -> None:
        """Start, and wait until both ports answer."""
        database, gateway = self.ports[region]
        other = WEST if region == EAST else EAST
        words = [
            "serve",
            "--folder",
            str(self.home / region),
            "--region",
            region,
            "--token-file",
            str(self.home / "token"),
        ]
        words += ["--database", f"127.0.0.1:{database}", "--gateway", f"127.0.0.1:{gateway}"]
        words += ["--peer", f"{other}=127.0.0.1:{self.ports[other][0]}", *more]
        self._pids[region] = self._fork(*words)
        eventually_sync(lambda: self._is_up(region), within=60, what=f"{region} serves")

    def kill(self, region: str) -> None:
        """kill -9, and wait until it is gone."""
        pid = self._pids[region]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        eventually_sync(lambda: self._ended(pid), within=60, what=f"{region} is gone")

    def bench(self) -> PromoterBench:
        """Both regions, for the suite."""
        return PromoterBench(self.promoter(), EAST, WEST, self.kill, self.start, self.write, self.rows)

    async def write(self, region: str, n: int) -> bool | None:
        """One row by the gateway."""
        try:
            answer = await self._http.post(f"{self.gateway(region)}/rows", json={"n": n})
        except httpx.HTTPError:
            return None
        return {201: True, 503: False}.get(answer.status_code)

    async def rows(self, region: str) -> set[int]:
        """The numbers of all rows."""
        answer = await self._http.get(f"{self.gateway(region)}/rows")
        assert answer.status_code == 200, answer.text
        return {row["n"] for row in answer.json()["rows"]}

    def gateway(self, region: str) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.ports[region][1]}"

    def _fork(self, *words: str) -> int:
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return self._nursery.fork(PROGRAM, env, self.home / "log", words)

    def _ended(self, pid: int) -> str:
        code = self._nursery.code(pid)
        return "" if code is None else f"ended with {code}"

    def _is_up(self, region: str) -> bool:
        ended = self._ended(self._pids[region])
        assert not ended, f"{region} {ended}:\n{(self.home / 'log').read_text()[-2000:]}"
        for port in self.ports[region]:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return False
        return True


@pytest.fixture(scope="module")
def cradle() -> Iterator[Nursery]:
    """Forks processes of the demo application."""
    with nursery("catalyst_promoter_demo.serving") as opened:
        yield opened


@pytest.fixture(scope="module")
def application(cradle: Nursery) -> Iterator[Application]:
    """Both regions, running."""
    home = folder()
    made = Application(home, cradle)
    made.found()
    for region in (EAST, WEST):
        made.start(region)
    yield made
    for region in (EAST, WEST):
        made.kill(region)
    shutil.rmtree(home, ignore_errors=True)
