"""One suite for names that follow the holder, over BIND, Knot, PowerDNS and the server that `catalyst dev` brings along."""

from collections.abc import Iterator

import pytest
from catalyst_testkit.continuum.traffic_suite import TrafficBench, TrafficSuite

from . import traffic_benches as benches


class TestBindAndKnot(TrafficSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[TrafficBench]:
        with benches.bench(benches.on_bind, benches.on_knot) as bench:
            yield bench


class TestPowerDnsAndEmbedded(TrafficSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[TrafficBench]:
        with benches.bench(benches.on_powerdns, benches.on_embedded) as bench:
            yield bench
