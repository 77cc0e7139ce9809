"""The suite of all promoters over a real pair costs servers and copies; the demo application passes all of it in every run."""

from pathlib import Path

import pytest
from catalyst_testkit.late import leave_for_long_runs

IN_EVERY_RUN = (
    "test_a_write_is_acknowledged_when_both",
    "test_an_older_epoch_changes_nothing",
    "test_the_highest_epoch_outlives_kill_9",
    "test_a_demotion_tells_the_last_position",
    "test_no_acknowledged_write_is_lost",
    "test_a_fence_holds_over_restarts",
    "test_an_old_primary_that_returns",
    "test_what_only_an_old_primary_has",
    "test_two_copies_that_were_promoted",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_conformance.py"), but=IN_EVERY_RUN)
