"""The suite over the demo application."""

import pytest
from catalyst_testkit.continuum.promoter_suite import PromoterBench, PromoterSuite

from .conftest import Application


class TestDemo(PromoterSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, application: Application) -> PromoterBench:
        return application.bench()
