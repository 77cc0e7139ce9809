"""`examples/05-region-dies/run`, as its page says: a region is killed, the name moves, no row is lost."""

import json
import subprocess
import sys

import pytest


@pytest.mark.chaos
def test_a_region_dies_and_no_acknowledged_row_with_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "catalyst_cli.drills"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["lost"], told["overlaps"], told["epoch"], told["faults"]) == (0, 0, 2, [])
    assert told["acked"] > 50
    assert 0 < told["rto_seconds"] <= told["rto_promised_seconds"]
    assert all(took is not None for took in told["phases"].values())
    first, second = told["authorities"].values()
    assert first == second != []
