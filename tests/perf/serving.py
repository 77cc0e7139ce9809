"""Starts `child.py`, on the core of servers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import machine

CHILD = Path(__file__).with_name("child.py")


@contextmanager
def serving(role: str, **values: Any) -> Iterator[dict[str, Any]]:
    """A child on the servers' core for the block; what it said."""
    with machine.on_core(0):
        process = subprocess.Popen(
            [sys.executable, str(CHILD), role, json.dumps(values)], stdout=subprocess.PIPE, text=True
        )
    assert process.stdout is not None
    try:
        # Before it, and on the same stream, a daemon says what it logs.
        ready = next(line for line in process.stdout if line.startswith("ready "))
        yield json.loads(ready.removeprefix("ready "))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
