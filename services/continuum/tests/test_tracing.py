"""What agents wrote down can be merged, whatever their own clocks say, and loses one line at most by a death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.workers.tracing import TraceFile
from catalyst_mesh.failpoints import VARIABLE
from catalyst_sdk.traces import merged, reigns


async def test_a_deadline_is_told_on_the_machine_s_own_clock(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "trace.jsonl")
    skewed = file.of("west", "demo/shop", lambda: Moment(boottime() + 5000, 0))
    before = boottime()
    skewed("authority", epoch=2, seq=7, deadline=boottime() + 5006.8)
    await file.close()
    (line,) = merged([(tmp_path / "trace.jsonl").read_text()])
    assert before <= line.boottime <= boottime()
    assert line.deadline is not None
    assert 6.7 < line.deadline - line.boottime < 6.9
    assert (line.region, line.slot, line.epoch, line.seq) == ("west", "demo/shop", 2, 7)


def test_a_phase_is_a_place_where_the_process_can_be_killed(tmp_path: Path) -> None:
    program = (
        "import os\nfrom pathlib import Path\n"
        "from catalyst_continuum.clock import boottime\nfrom catalyst_continuum.domain.authority import Moment\n"
        "from catalyst_continuum.workers.tracing import TraceFile\nfrom catalyst_mesh.failpoints import Failpoints\n"
        f"trace = TraceFile(Path({str(tmp_path / 'trace.jsonl')!r})).of(\n"
        "    'east', 'demo/shop', lambda: Moment(boottime(), 0), Failpoints.load(os.environ))\n"
        "for step in ('Drain after-effect', 'FenceSource before-effect', 'FenceSource after-effect'):\n"
        "    trace('step', epoch=1, effect=step)\n"
    )
    environment = {**os.environ, VARIABLE: "continuum.FenceSource.before-effect=kill"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    told = [line.effect for line in merged([(tmp_path / "trace.jsonl").read_text()])]
    assert told == ["Drain after-effect", "FenceSource before-effect"]


async def test_a_process_that_comes_after_appends(tmp_path: Path) -> None:
    for epoch in (1, 2):
        file = TraceFile(tmp_path / "trace.jsonl")
        file.of("east", "demo/shop", lambda: Moment(boottime(), 0))("authority", epoch=epoch, deadline=boottime() + 5)
        await file.close()
    assert [reign.epoch for reign in reigns(merged([(tmp_path / "trace.jsonl").read_text()]))] == [1, 2]
