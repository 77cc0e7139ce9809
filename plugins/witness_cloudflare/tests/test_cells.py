"""The conformance suites over both kinds of HTTP cell."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from catalyst_testkit.cell_suite import CellBench, CellSuite
from catalyst_testkit.lease_surface_suite import LeaseSurfaceSuite, Surface, fresh
from catalyst_testkit.servers import folder

from .servers import TOKEN, DurableObject, Server, SqliteCell, miniflare, witness


@dataclass
class HttpBench(CellBench):
    server: Server | None = None


def benched(server: Server) -> Iterator[HttpBench]:
    server.home.mkdir(exist_ok=True)
    server.start()
    try:
        yield HttpBench(witness(server.url), "one", server.kill, server.start, server)
    finally:
        server.kill()
        shutil.rmtree(server.home, ignore_errors=True)


class BothSurfaces(CellSuite, LeaseSurfaceSuite):
    @pytest.fixture
    def surface(self, bench: HttpBench) -> Surface:
        assert bench.server is not None
        return fresh(bench.server.url, TOKEN)


class TestHttpCas(BothSurfaces):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[HttpBench]:
        yield from benched(SqliteCell(folder()))


class TestDurableObject(BothSurfaces):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[HttpBench]:
        yield from benched(DurableObject(folder(), miniflare()))
