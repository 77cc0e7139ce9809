"""A planned move whose agent is killed, by SIGKILL of a real process, at each place of each phase.

`CATALYST_CHAOS=long`; every so-many-th place (`CATALYST_CHAOS_EVERY`, 8), as each takes half a minute and more.
"""

import json
import os
import subprocess
import sys

import pytest
from catalyst_testkit.continuum import netns

LONG = os.environ.get("CATALYST_CHAOS") == "long" or os.environ.get("HYPOTHESIS_PROFILE") == "long"
EVERY = int(os.environ.get("CATALYST_CHAOS_EVERY", "8"))
A_PLACE, BESIDE = 600.0, 600.0


@pytest.mark.chaos
@pytest.mark.skipif(not LONG, reason="five minutes: CATALYST_CHAOS=long")
def test_wherever_its_agent_is_killed_a_planned_move_loses_nothing_and_somebody_leads() -> None:
    if why := netns.missing():
        pytest.skip(why)
    words = [sys.executable, "-m", "tests.chaos.continuum.steps", "--every", str(EVERY)]
    within = A_PLACE * (52 // EVERY + 1) + BESIDE
    done = subprocess.run([*netns.command(), *words], capture_output=True, text=True, check=False, timeout=within)
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(done.stdout)
    assert (report["lost"], report["unexpected"], report["overlaps"], report["breaches"]) == (0, 0, 0, [])
    assert (report["stuck"], report["reached"]) == ("", report["deaths"])
