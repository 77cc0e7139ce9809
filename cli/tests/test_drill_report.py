"""What a drill says: phases from the trace, and every broken promise by name."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from catalyst_cli.drills.figures import Gap, Kept
from catalyst_cli.drills.report import Report, is_protected, phases
from catalyst_cli.tree import build
from catalyst_sdk.traces import Event, Line
from typer.testing import CliRunner

SLOT = "demo/shop"
GAP = Gap(last_before=100.1, first_after=114.0, fault=100.0, region="west", epoch=2)
SOUND = Report("kill", SLOT, 26.0, GAP, Kept(500, frozenset(), frozenset(), frozenset()), {}, 0)


def line(at: float, event: str, effect: str = "", epoch: int = 2, deadline: float | None = None) -> Line:
    return Line(at, "west", SLOT, event, epoch, effect=effect, deadline=deadline)


TRACE = [
    line(110.5, Event.CLAIM, "steal", epoch=1),
    line(110.75, Event.AUTHORITY, deadline=117),
    line(111.0, Event.BEGUN, "promote"),
    line(112.0, Event.DONE, "promote"),
    line(112.0, Event.BEGUN, "canary"),
    line(112.5, Event.DONE, "canary"),
    line(112.5, Event.BEGUN, "names"),
    line(113.0, Event.DONE, "names"),
]


def test_the_phases_of_a_move_follow_each_other_from_the_fault_to_the_first_write() -> None:
    took = phases(TRACE, epoch=2, fault=100.0, gap=GAP)
    assert took == {
        "detect": 10.5, "claim": 0.25, "fence": None, "promote": 1.0, "verify": 0.5, "dns": 0.5, "converge": 1.0,
    }  # fmt: skip


def test_what_no_line_tells_has_no_figure() -> None:
    assert set(phases([], epoch=2, fault=100.0, gap=None).values()) == {None}


def test_a_slot_is_protected_once_its_holder_has_come_through_reprotect_in_this_epoch() -> None:
    assert not is_protected([line(1, "step", "Reprotect before-effect"), line(1, "step", "Complete", epoch=1)], 2)
    assert is_protected([line(1, "step", "Complete before-effect")], 2)


def test_what_nobody_could_read_is_not_called_lost() -> None:
    silent = replace(SOUND, gap=None, kept=None)
    assert silent.faults() == ["no write was acknowledged after the fault"]
    assert silent.summary()["lost"] is None


def test_a_sound_drill_has_no_faults_and_says_its_figures() -> None:
    told = SOUND.summary()
    assert (told["rto_seconds"], told["write_disruption_seconds"], told["lost"], told["faults"]) == (14.0, 13.9, 0, [])


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (replace(SOUND, kept=Kept(500, frozenset({7}), frozenset(), frozenset())), "1 acknowledged writes are lost"),
        (replace(SOUND, kept=Kept(500, frozenset(), frozenset(), frozenset({7}))), "nobody wrote"),
        (replace(SOUND, overlaps=1), "two regions could write"),
        (replace(SOUND, promised=13.0), r"14\.0 s until the first write; 13\.0 s were promised"),
        (replace(SOUND, gap=None), "no write was acknowledged after the fault"),
        (replace(SOUND, moved={"one": ["127.7.0.1"], "two": ["127.7.0.2"]}), "do not agree"),
    ],
)
def test_each_broken_promise_is_named(spoiled: Report, said: str) -> None:
    (fault,) = spoiled.faults()
    assert re.search(said, fault)


def test_traces_are_judged_from_the_command_line(tmp_path: Path) -> None:
    east, west = tmp_path / "east", tmp_path / "west"
    east.write_text(f"{Line(100, 'east', SLOT, Event.AUTHORITY, 1, deadline=107).to_json()}\n")
    west.write_text(f"{line(105, Event.AUTHORITY, deadline=112).to_json()}\n")
    told = CliRunner().invoke(
        build("continuum"), ["continuum", "trace", str(east), str(west), "--check", "I1", "-o", "json"]
    )
    assert told.exit_code == 1
    assert "could both act for 2.000 s" in told.stdout
    assert CliRunner().invoke(build("continuum"), ["continuum", "trace", str(east), "--check", "I1"]).exit_code == 0
