"""Failpoints: said exactly, met where they say, and nothing where nobody asked."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import catalyst_mesh
import pytest
from catalyst_mesh.failpoints import POINTS, VARIABLE, Failpoints, Reached
from catalyst_mesh.settings import SettingsFault

from .toy import ToySettings, compose

CHASSIS = Path(catalyst_mesh.__file__).parent
HIT = """
import os, sys
from catalyst_mesh.failpoints import Failpoints
points = Failpoints.load(os.environ)
for n in range(1, 6):
    points.hit("work.after_commit")
    points.hit("relay.published")
    print(n, flush=True)
"""


def test_the_process_is_killed_at_the_nth_hit_of_its_point_and_at_no_other() -> None:
    environment = {**os.environ, VARIABLE: "relay.published=kill@3; relay.marked=kill"}
    died = subprocess.run([sys.executable, "-c", HIT], env=environment, capture_output=True, text=True, check=False)
    assert (died.returncode, died.stdout.split()) == (-signal.SIGKILL, ["1", "2"])


@pytest.mark.parametrize(
    "text", ["relay.publishd=kill", "relay.published", "relay.published=burn", "relay.published=kill@0", "=", "kill"]
)
def test_a_wish_that_cannot_be_stops_the_start_and_says_what_can(text: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        Failpoints.load({VARIABLE: f"work.after_commit=kill,{text}"})
    assert text in str(fault.value)
    assert "consumer.committed" in str(fault.value)
    assert str(fault.value).count("\n") == 1, "only what is wrong"


def test_a_daemon_with_an_unknown_point_does_not_start(tmp_path: Path) -> None:
    program = (
        "from catalyst_mesh.daemon import main\n"
        "from catalyst_mesh.settings import DaemonSettings\n"
        f"main('toy', DaemonSettings(data_folder={str(tmp_path / 'data')!r}), lambda _: 1 / 0)"
    )
    environment = {**os.environ, VARIABLE: "work.nowhere=kill"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "work.nowhere=kill" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


async def test_unasked_no_part_of_a_daemon_holds_any(home: Path) -> None:
    assert Failpoints.load({}) is Failpoints.load({VARIABLE: " "}) is None
    daemon = await compose(ToySettings(database_url=f"sqlite+aiosqlite:///{home}/t.db", data_folder=home))
    daemon.arm(None)
    assert (daemon.failpoints, daemon.work.failpoints) == (None, None)
    await daemon.db.close()


def test_every_point_is_a_place_in_the_chassis_and_every_place_a_point() -> None:
    source = "\n".join(path.read_text() for path in CHASSIS.rglob("*.py"))
    places = re.findall(r'failpoints\.hit\("([\w.]+)"\)', source)
    assert set(places) == {point for point in POINTS if not point.startswith("journal.")}


def test_the_journal_s_places_are_found_by_their_names() -> None:
    met: list[str] = []

    class Noted(Failpoints):
        def hit(self, point: str) -> None:
            met.append(point)

    points = Noted({})
    for place in ("claim.commit.after", "commit.before", "commit.after", "run:a.before", "run:a.after", "fence.after"):
        points.hook(place)
    assert met == ["journal.claimed", "journal.before_commit", "journal.after_commit", "journal.effect"]
    assert {point for point in POINTS if point.startswith("journal.")} == set(met)


async def test_a_step_fails_hangs_or_is_late_at_its_hit_and_at_no_other() -> None:
    wishes = "pdm.commit.c4.before=error@2;pdm.release.r2.after=hang;pdm.commit.end.before=delay"
    points = Failpoints.load({VARIABLE: wishes})
    assert points is not None
    await points.reach("pdm.commit.c4.before")
    with pytest.raises(Reached, match=r"pdm\.commit\.c4\.before"):
        await points.reach("pdm.commit.c4.before")
    await points.reach("pdm.commit.c4.before")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(points.reach("pdm.release.r2.after"), 0.05)
    await asyncio.wait_for(points.reach("pdm.commit.end.before"), 60)


@pytest.mark.parametrize("text", ["pdm.commit.c7.before=kill", "pdm.commit.c4=kill", "relay.published=hang"])
def test_a_step_that_is_none_cannot_be_asked_for(text: str) -> None:
    with pytest.raises(SettingsFault):
        Failpoints.load({VARIABLE: text})
