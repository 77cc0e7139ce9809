"""Where a daemon listens, in whichever version of addresses its cluster has."""

import httpx
import pytest
from catalyst_mesh.addresses import apart, together
from catalyst_mesh.sideport import SidePort
from catalyst_testkit.servers import sixth_version
from prometheus_client import CollectorRegistry


@pytest.mark.parametrize(
    ("told", "host"), [("0.0.0.0:7400", "0.0.0.0"), ("[::]:7400", "::"), ("db.example:7400", "db.example")]
)
def test_a_host_of_the_sixth_version_has_brackets_where_a_port_follows(told: str, host: str) -> None:
    assert apart(told) == (host, 7400)
    assert together(host, 7400) == told


async def test_probes_are_answered_in_a_cluster_of_the_sixth_version() -> None:
    side = SidePort(CollectorRegistry(), {})
    port = await side.start(f"{sixth_version()}:0")
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://[::1]:{port}/livez")).status_code == 200
    finally:
        await side.stop()
