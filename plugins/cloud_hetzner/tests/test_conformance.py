"""The plugin passes the suite of all clouds, over the fake provider and the fake API.

The suite runs over the folder cloud in every run; over this one a few of its tests do, and all of them in the long
profile: each costs several commands of the real tool.
"""

import pytest
from catalyst_testkit.cloud_suite import CloudSuite


class TestHetzner(CloudSuite):
    @pytest.fixture
    def bench(self, hetzner):
        return hetzner
