"""A cloud made by the real tool passes the suite of all clouds."""

import pytest
from catalyst_testkit.cloud_suite import CloudSuite


class TestFiles(CloudSuite):
    @pytest.fixture
    def bench(self, files):
        return files

    @pytest.mark.usefixtures("streaming")
    async def test_asked_to_stop_it_ends_between_two_resources(self, bench):
        await super().test_asked_to_stop_it_ends_between_two_resources(bench)
