"""Two regions and an application that moves between them: what happens to them, seen from outside."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import httpx
import pytest
from catalyst_sdk.traces import check, merged

from .devs import Dev
from .tutorials import done, steps

EVERY = 0.05
"""Seconds from one sample to the next: 20 Hz."""


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment: who says that it may write, and what each authority answers."""

    writable: frozenset[str]
    addresses: tuple[tuple[str, ...], ...]
    epochs: tuple[int | None, ...]


@dataclass
class Watched:
    """A dev with regions, and a sampler beside it."""

    dev: Dev
    samples: list[Sample] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def do(self, *words: str) -> dict[str, Any]:
        answer = self.dev.command("dev", *words, "--data-dir", str(self.dev.folder), "-o", "json")
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout))

    @property
    def status(self) -> dict[str, Any]:
        return self.do("status")

    def gateway(self, place: str) -> str:
        return str(next(row["gateway"] for row in self.regions if row["place"] == place))

    def whoami(self, place: str, patience: float = 1.0) -> dict[str, Any]:
        try:
            return dict(httpx.get(f"http://{self.gateway(place)}/whoami", timeout=patience).json())
        except (httpx.HTTPError, ValueError):
            return {"writable": False, "role": "", "epoch": 0}

    def write(self, place: str, n: int) -> int:
        """Status of one write at a region's own address; 0: none came."""
        try:
            return httpx.post(f"http://{self.gateway(place)}/rows", json={"n": n}, timeout=3).status_code
        except httpx.HTTPError:
            return 0

    def leads(self, place: str, *, above: int = 0) -> int:
        told = self.whoami(place)
        return int(told["epoch"]) if told["writable"] and told["epoch"] > above else 0

    def is_protected(self, place: str) -> bool:
        """Whether what is written there is in the other region too, and the register says so."""
        text = Path(next(row["trace"] for row in self.regions if row["place"] == place)).read_text()
        epoch = self.whoami(place)["epoch"]
        return any(
            one.event == "step" and one.epoch == epoch and one.effect.startswith("Complete") for one in merged([text])
        )

    def breaches(self) -> list[Any]:
        return check(merged(Path(row["trace"]).read_text() for row in self.regions if Path(row["trace"]).exists()))

    def sampling(self) -> threading.Thread:
        self.samples, self.stop = [], threading.Event()
        thread = threading.Thread(target=self._sample)
        thread.start()
        return thread

    def _sample(self) -> None:
        while not self.stop.wait(EVERY):
            # One that is frozen answers nobody: to wait for it would leave out what happens meanwhile.
            told = {place: self.whoami(place, 0.2) for place in ("east", "west")}
            writable = frozenset(place for place, one in told.items() if one["writable"])
            answers = [self._ask(address) for address in self.demo["authorities"].values()]
            self.samples.append(Sample(writable, tuple(a for a, _ in answers), tuple(e for _, e in answers)))

    def _ask(self, authority: str) -> tuple[tuple[str, ...], int | None]:
        host, port = authority.split(":")
        found = []
        for name, kind in ((self.demo["host"], "A"), (f"_continuum.{self.demo['host']}", "TXT")):
            try:
                answer = dns.query.tcp(dns.message.make_query(name, kind), host, timeout=1, port=int(port))
            except (dns.exception.DNSException, OSError, EOFError):
                return (), None
            found.append(sorted(str(rdata) for rrset in answer.answer for rdata in rrset))
        return tuple(found[0]), int(found[1][0].split()[0].removeprefix('"e=')) if found[1] else None

    def until(self, check: Callable[[], Any], what: str, within: float = 120) -> Any:
        return self.dev.until(check, within, what)

    def __post_init__(self) -> None:
        told = self.status
        self.regions, self.demo = told["regions"], told["demo"]


@pytest.fixture(scope="module")
def world() -> Iterator[Watched]:
    path = Path(tempfile.mkdtemp(prefix="catalyst-e2e-"))
    dev = Dev(path, options=("--regions",))
    dev.start()
    yield Watched(dev)
    dev.stop()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def led(world: Watched) -> tuple[Watched, str, str]:
    """The world with a holder that has a synchronous standby: holder and standby."""
    holder = world.until(lambda: next((p for p in ("east", "west") if world.leads(p)), ""), "somebody leads")
    world.until(lambda: world.is_protected(holder), "its standby has every write")
    return world, holder, "west" if holder == "east" else "east"


def test_a_holder_that_was_frozen_beyond_its_lease_writes_nothing_when_it_goes_on(
    led: tuple[Watched, str, str],
) -> None:
    world, holder, standby = led
    before = world.whoami(holder)["epoch"]
    assert world.write(holder, 1) == 201
    thread = world.sampling()
    try:
        world.do("region", "pause", holder)
        world.until(lambda: world.leads(standby, above=before), "the standby takes over")
        assert world.write(standby, 2) == 201
        world.do("region", "resume", holder)
        assert world.write(holder, 3) != 201
        world.until(lambda: world.whoami(holder)["role"] == "replica" and world.is_protected(standby), "it follows")
        assert world.write(holder, 4) == 503
    finally:
        world.stop.set()
        thread.join()
    assert not [sample for sample in world.samples if len(sample.writable) > 1]
    moved_once_and_never_empty(world.samples)
    assert world.breaches() == []


def moved_once_and_never_empty(samples: list[Sample]) -> None:
    assert len(samples) > 20
    for answers in zip(*(sample.addresses for sample in samples), strict=True):
        assert all(answers), "an authority was without an address"
        assert len([1 for a, b in pairwise(answers) if a != b]) == 1
    for epochs in zip(*(sample.epochs for sample in samples), strict=True):
        assert list(epochs) == sorted(epochs)


def test_two_of_three_cells_are_lost_and_come_back_while_writes_go_on(led: tuple[Watched, str, str]) -> None:
    world, holder, _ = led
    before = world.whoami(holder)["epoch"]
    for cell in ("cell-1", "cell-2"):
        world.do("cell", "kill", cell)
    lost = threading.Event()
    written = 0
    while not lost.wait(0.5) and written < 40:  # twice as long as the lease
        written += 1
        assert world.write(holder, 1000 + written) == 201
    for cell in ("cell-1", "cell-2"):
        world.do("cell", "start", cell)
    assert world.write(holder, 2000) == 201
    assert world.whoami(holder)["epoch"] == before
    assert world.breaches() == []


def test_a_holder_that_is_cut_off_from_everything_gives_way_and_follows_when_the_line_is_whole(
    led: tuple[Watched, str, str],
) -> None:
    world, holder, standby = led
    before = world.whoami(holder)["epoch"]
    world.do("region", "cut", holder, "--from", "all")
    world.until(lambda: world.leads(standby, above=before), "the standby takes over")
    assert world.write(holder, 3000) != 201
    world.do("region", "heal", holder)
    world.until(lambda: world.is_protected(standby), "the old holder follows")
    assert world.write(holder, 3001) == 503
    assert world.write(standby, 3002) == 201
    assert world.breaches() == []


def test_a_slot_is_moved_there_and_back_by_a_planned_run_with_hardly_a_pause(led: tuple[Watched, str, str]) -> None:
    world, holder, _ = led
    before = world.whoami(holder)["epoch"]
    drill = ("continuum", "drill", "demo/shop", "--data-dir", str(world.dev.folder), "-o", "json")
    plan = world.dev.command(*drill, "--kind", "dry-run")
    assert len(json.loads(plan.stdout)["steps"]) == 14, plan.stderr
    assert world.whoami(holder)["epoch"] == before, "a dry run moves nothing"
    done = world.dev.command(*drill, "--kind", "game-day", timeout=300)
    there, back = json.loads(done.stdout)  # how long it took is for a quiet machine to say
    assert (there["epoch"], back["epoch"], there["lost"], back["lost"]) == (before + 1, before + 2, 0, 0)
    assert world.leads(holder) == before + 2
    assert world.breaches() == []


def test_the_tutorial_of_the_drill_comes_out_as_it_says(led: tuple[Watched, str, str]) -> None:
    world, _, _ = led
    for step in steps("run-a-dr-drill"):
        done(world.dev, step, within=400)
    assert world.breaches() == []
