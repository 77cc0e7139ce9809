"""The simulated cloud passes the suite of all clouds, with its processes really started."""

import pytest
from catalyst_testkit.cloud_suite import CloudSuite


class TestSandbox(CloudSuite):
    @pytest.fixture
    def bench(self, sandbox):
        return sandbox
