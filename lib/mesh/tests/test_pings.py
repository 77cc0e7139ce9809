"""What servers and clients are told of gRPC's is what gRPC knows: a wrong name is passed over without a word."""

from pathlib import Path

import pytest
from catalyst_mesh.client import _OPTIONS
from catalyst_mesh.daemon import OPTIONS
from grpc._cython import cygrpc

NAMES = sorted({name for name, _ in (*OPTIONS, *_OPTIONS)})


@pytest.fixture(scope="module")
def library() -> bytes:
    return Path(str(cygrpc.__file__)).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_one_that_grpc_knows(library: bytes, name: str) -> None:
    assert name.encode() + b"\0" in library


def test_a_server_suffers_the_pings_of_our_clients() -> None:
    assert (
        dict(OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"]
        < int(dict(_OPTIONS)["grpc.keepalive_time_ms"]) / 2
    )
