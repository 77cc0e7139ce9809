"""kill -9 in the middle of a creation: after a restart it goes on and ends the same, nothing made twice."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc as stubs
from catalyst_mesh import Issuer, ManualClock, connect
from catalyst_testkit.servers import NatsServer, free_port
from catalyst_testkit.waiting import eventually

from .conftest import Start
from .house import FakeBilling, House, conditions

pytestmark = [pytest.mark.either_database, pytest.mark.chaos]
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
POINTS = ["run:billing-account.after", "run:git.after"]
"""A sample; a long run dies in each step."""
if LONG:
    POINTS += [f"run:{step}.after" for step in ("identity", "vcluster", "environment", "activate")]


@asynccontextmanager
async def doomed(home: Path, nats: NatsServer, database: str, billing: str, point: str) -> AsyncIterator[str]:
    """The address of a daemon that dies at `point`, while the block uses it."""
    issuer = Issuer.open(home / "issuer")
    (home / "token").write_text(issuer.token("environment", service="environment"))
    settings = {
        "jwks_file": home / "issuer" / "jwks.json",
        "token_file": home / "token",
        "data_folder": home,
        "drain_seconds": 0.0,
        "lease_ttl": 1.0,
        "listen": f"127.0.0.1:{free_port()}",
        "nats_url": nats.url,
        "database_url": database,
        "billing_target": billing,
    }  # fmt: skip - one table
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("child.py")),
        point,
        json.dumps(settings, default=str),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip - one call
    try:
        assert child.stderr is not None
        assert await asyncio.wait_for(child.stderr.readline(), 60) == b"serving\n"
        yield str(settings["listen"])
        assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def ended(house: House) -> bool:
    """Whether the operation is over: what it makes is there before."""
    return "operation.completed" in await house.told()


@pytest.mark.parametrize("point", POINTS)
async def test_a_creation_goes_on_after_kill_9_and_makes_nothing_twice(
    start: Start,
    home: Path,
    clock: ManualClock,
    clean_nats: NatsServer,
    database: str,
    fake_billing: tuple[FakeBilling, str],
    point: str,
) -> None:  # fmt: skip - one signature
    async with doomed(home, clean_nats, database, fake_billing[1], point) as target:
        token = Issuer.open(home / "issuer").token("ada")
        async with connect(target, token=lambda: token) as channel:
            wish = rpc.CreateOrganizationRequest(organization_id="acme", organization=pb.Organization())
            await stubs.OrganizationServiceStub(channel).CreateOrganization(wish)
    # The child went by this machine's clock; the run that it left is due by that one.
    clock.advance(datetime.now(UTC) - clock.now())
    async with start(lease_ttl=1.0) as house:
        active = await house.reached("ACTIVE")
        assert conditions(active)["Git"] == "TRUE Made"
        assert set(house.billing.asked) == {"organizations/acme"}
        await eventually(partial(ended, house), within=60, what="the run ends too")
        told = await house.told()
        assert told.count("organization.created") == told.count("organization.activated") == 1
        assert told.count("environment.created") == told.count("operation.completed") == 1
        assert sorted(p.name for p in (house.git / "acme").glob("*.git")) == [
            "iac.git",
            "runbooks.git",
            "shared-blueprints.git",
        ]  # fmt: skip - one list
