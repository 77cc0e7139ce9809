"""Tests that are dear and told by others too: left out of everyday runs, run in the long profile."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest


def leave_for_long_runs(config: pytest.Config, items: list[pytest.Item], *, file: Path, but: Sequence[str]) -> None:
    """Deselect the tests of `file` but for those whose names begin with one of `but`; in the long profile all stay."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "long":
        return
    late = [one for one in items if one.path == file and not one.name.startswith(tuple(but))]
    if late:
        config.hook.pytest_deselected(items=late)
        items[:] = [one for one in items if one not in late]
