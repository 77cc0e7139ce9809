"""Access of persons: minted by the real simulated agent, answered once, on record, revoked."""

import json
import ssl
from base64 import b64decode
from typing import Any
from uuid import uuid4

import httpx
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.dumps import dump

from .conftest import NAME, Bench

pytestmark = pytest.mark.either_database


def wish(**fields: Any) -> Any:
    return rpc.IssueKubeconfigRequest(name=NAME, reason="look at a pod", request_id=str(uuid4()), **fields)


async def nodes(kubeconfig: str) -> int:
    file = json.loads(kubeconfig)
    cluster, user = file["clusters"][0]["cluster"], file["users"][0]["user"]
    trusting = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
        bearer = {"Authorization": f"Bearer {user['token']}"}
        answer = await http.get(f"{cluster['server']}/api/v1/nodes", headers=bearer)
        return len(answer.json()["items"]) if answer.status_code == 200 else -answer.status_code


async def opened(kubeconfig: str) -> int:
    """What the API says, once its process serves."""

    async def check() -> int:
        try:
            return await nodes(kubeconfig)
        except httpx.TransportError:
            return 0

    return await eventually(check, within=60)


async def test_a_person_gets_access_once_under_one_request_id_and_it_ends_with_the_grant(
    bench: Bench, database: str
) -> None:
    access: Any = bench.daemon.admin(stubs.AccessServiceStub)
    await bench.create()
    assert await reason_of(access.IssueKubeconfig(wish())) == "NOT_ACTIVE"
    assert (await bench.ended(await bench.apply(await bench.plan()))).state == pb.Run.STATE_SUCCEEDED
    assert await reason_of(access.IssueKubeconfig(wish(cluster="sb-west-mgt-dev"))) == "CLUSTER_NOT_FOUND"
    assert await reason_of(access.IssueKubeconfig(wish(ttl={"seconds": 0}))) == "REQUEST_INVALID"

    asked = wish(role="edit")
    given = await access.IssueKubeconfig(asked)
    assert await access.IssueKubeconfig(asked) == given
    assert (given.grant.role, given.grant.state) == ("edit", pb.Grant.STATE_ACTIVE)
    assert await opened(given.kubeconfig) == 3
    listed = await access.ListGrants(rpc.ListGrantsRequest(parent=NAME, filter="state = ACTIVE"))
    assert [g.name for g in listed.grants] == [given.grant.name]
    token = json.loads(given.kubeconfig)["users"][0]["user"]["token"]
    assert token not in str(listed)

    member: Any = bench.daemon.member(stubs.AccessServiceStub, "omantel")
    assert await reason_of(member.IssueKubeconfig(wish())) == "CALL_DENIED"
    refused = member.RevokeGrant(rpc.RevokeGrantRequest(name=given.grant.name))
    assert await reason_of(refused) in ("CALL_DENIED", "GRANT_NOT_FOUND")
    revoked = await access.RevokeGrant(rpc.RevokeGrantRequest(name=given.grant.name, reason="done"))
    assert revoked.state == pb.Grant.STATE_REVOKING

    async def over() -> bool:
        rows = await access.ListGrants(rpc.ListGrantsRequest(parent=NAME, filter="state = REVOKED"))
        return [g.name for g in rows.grants] == [given.grant.name]

    await eventually(over, within=60)
    assert await nodes(given.kubeconfig) == -401
    told = await bench.runs.ListEvents(rpc.ListEventsRequest(parent=NAME, page_size=1000))
    codes = [event.code for event in told.events if event.code.startswith("access.")]
    assert codes == ["access.granted", "access.revoked"]
    assert token not in str(told)
    held = await dump(database)
    assert given.grant.name.rpartition("/")[2].encode() in held
    assert token.encode() not in held, "what was minted is kept sealed, and only until it is answered"
