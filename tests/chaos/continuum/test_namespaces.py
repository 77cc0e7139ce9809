"""The fault run over machines in network namespaces: links that the kernel cuts, one true clock.

`CATALYST_CHAOS=long`, for `CATALYST_CHAOS_MINUTES` (5); a seed (`CATALYST_CHAOS_SEED`) brings the same faults again. Where the
kernel has no netem, nothing is delayed, lost or doubled, and the report says so.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from catalyst_testkit.continuum import netns

LONG = os.environ.get("CATALYST_CHAOS") == "long" or os.environ.get("HYPOTHESIS_PROFILE") == "long"
MINUTES = os.environ.get("CATALYST_CHAOS_MINUTES", "5")
WITHIN = 600.0
"""Seconds beside the faults: start, heal, the last read."""
A_MACHINE = "from catalyst_testkit.continuum.netns import Machines; net = Machines(); net.add('one'); net.end()"


@pytest.mark.chaos
@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not installed")
def test_namespaces_are_missing_only_where_no_machine_can_be_made() -> None:
    made = subprocess.run([*netns.command(), sys.executable, "-c", A_MACHINE], capture_output=True, check=False)
    assert (netns.missing() == "") is (made.returncode == 0), netns.missing()


@pytest.mark.chaos
@pytest.mark.skipif(not LONG, reason="five minutes: CATALYST_CHAOS=long")
def test_over_machines_no_acknowledged_row_is_lost_and_no_two_regions_could_write() -> None:
    if why := netns.missing():
        pytest.skip(why)
    seed = os.environ.get("CATALYST_CHAOS_SEED", "1")
    words = [sys.executable, "-m", "tests.chaos.continuum.namespaces", "--minutes", MINUTES, "--seed", seed]
    done = subprocess.run(
        [*netns.command(), *words], capture_output=True, text=True, check=False, timeout=float(MINUTES) * 60 + WITHIN
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(done.stdout)
    assert (report["lost"], report["unexpected"], report["overlaps"], report["breaches"]) == (0, 0, 0, [])
    assert done.returncode == 0, done.stderr[-3000:]
