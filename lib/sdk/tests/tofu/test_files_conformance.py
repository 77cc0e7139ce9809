"""A cloud made by the real tool passes the suite of all clouds."""

import pytest
from catalyst_testkit.cloud_suite import CloudSuite


class TestFiles(CloudSuite):
    @pytest.fixture
    def bench(self, files):
        return files
