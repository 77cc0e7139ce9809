"""Agents: who may enrol, what a stream may tell, which trees can be read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_provisioner.domain.enrolments import sha256
from catalyst_provisioner.domain.joins import ROLE_LABEL
from catalyst_provisioner.domain.locks import Component, Lock
from catalyst_provisioner.gitserver import Passwords
from catalyst_provisioner.store import EnrolmentRow, Store
from catalyst_sdk.cloud import LedgerRow
from catalyst_testkit.daemons import reason_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import Bench

pytestmark = pytest.mark.either_database

CLUSTER = "sb-east-mgt-dev"
RESOURCE = f"sovereigns/omantel/clusters/{CLUSTER}"
LOCK = Lock("sha256:1", (Component("bp-a", "1", "sha256:a"), Component("bp-b", "1", "sha256:b", ("bp-a",), wave=2)))


AUTHORITY = "ab" * 32


def voting(members: int) -> pb.AgentHeartbeat:
    return pb.AgentHeartbeat(api_healthy=True, voting_members=members, authority_sha256=AUTHORITY)


def request_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class Desk:
    """A cluster that waits for its first server, and that server's side."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.csr = request_pem()
        self.stub: Any = bench.daemon.stub(stubs.AgentServiceStub, token="")

    async def open(self, *, server_id: str = "srv-1", ttl: timedelta = timedelta(minutes=30), **changes: Any) -> None:
        """With these changes of the spec."""

        async def step(tx: Store) -> None:
            place = {"building_block": "mgt", "hosts": ["mgt"], "env_type": "prod", "location_code": "bemp", "nodes": 1}
            await tx.wish_cluster(
                "omantel", CLUSTER, number=0, provider="sandbox", region="east", credential="credentials/x", spec=place
            )
            await tx.wish_components("omantel", CLUSTER, LOCK)
            row = LedgerRow("server", "cp1", "east", {}, server_id)
            await tx.intend("omantel", CLUSTER, row, provider="sandbox", credential="credentials/x", run="")
            ends = tx.now + ttl
            await tx.keep_enrolment(
                EnrolmentRow(sha256("secret"), "omantel", CLUSTER, "cp1", None, ends, "", "", None, 0)
            )

        await self.bench.create(**changes)
        await self.bench.daemon.daemon.work.again(step)

    async def expect(self, name: str, role: str) -> None:
        """One more server, whose token is its name and whose id is `srv-` and its name."""

        async def step(tx: Store) -> None:
            row = LedgerRow("server", name, "east", {ROLE_LABEL: role}, f"srv-{name}")
            await tx.intend("omantel", CLUSTER, row, provider="sandbox", credential="credentials/x", run="")
            ends = tx.now + timedelta(minutes=30)
            fresh = EnrolmentRow(sha256(name), "omantel", CLUSTER, name, None, ends, "", "", None, 0)
            await tx.keep_enrolment(fresh)

        await self.bench.daemon.daemon.work.again(step)

    async def enrol(
        self, *, token: str = "secret", csr: str = "", server_id: str = "srv-1", addresses: Sequence[str] = ()
    ) -> Any:
        request = rpc.EnrollRequest(token=token, csr_pem=csr or self.csr, server_id=server_id, addresses=addresses)
        return await self.stub.Enroll(request)

    async def connect(self, token: str, *reports: Any) -> list[Any]:
        """Send reports over a stream; the acknowledgements until the last of them."""

        async def told() -> AsyncIterator[Any]:
            for report in reports:
                yield report
            await asyncio.Event().wait()  # the stream stays open until the call is cancelled

        call = self.stub.Connect(told(), metadata=(("authorization", f"Bearer {token}"),))
        answers = []
        async for command in call:
            answers.append(command)
            if command.ack >= reports[-1].seq:
                break
        call.cancel()
        return answers


def report(seq: int, **fields: Any) -> Any:
    whole = {"cluster": RESOURCE, "server_id": "srv-1", **fields}
    return pb.AgentReport(seq=seq, **whole)


def released(name: str, *, status: str = "True", reason: str = "", stalled: bool = False) -> Any:
    kinds = pb.AgentComponents
    conditions = [kinds.Condition(type="Ready", status=status, reason=reason, observed_generation=1)]
    if stalled:
        conditions.append(kinds.Condition(type="Stalled", status="True", reason="RetriesExceeded"))
    digest = f"sha256:{name[-1]}"
    return kinds.Release(name=name, generation=1, observed_generation=1, conditions=conditions, digest=digest)


@pytest.fixture
async def desk(bench: Bench) -> Desk:
    """A desk with one open enrolment."""
    made = Desk(bench)
    await made.open()
    return made


async def states(desk: Desk) -> dict[str, str]:
    answer = await desk.bench.infra.ListComponents(rpc.ListComponentsRequest(parent=RESOURCE))
    return {c.blueprint: pb.Component.State.Name(c.state).removeprefix("STATE_") for c in answer.components}


async def test_a_lost_answer_is_given_again_to_the_same_key_and_to_no_other(desk: Desk) -> None:
    first, again = await desk.enrol(), await desk.enrol()
    assert (first.cluster, first.role) == (RESOURCE, rpc.EnrollResponse.ROLE_INIT)
    assert (again.cluster, again.role, again.tree) == (first.cluster, first.role, first.tree)
    assert await reason_of(desk.enrol(csr=request_pem())) == "TOKEN_USED"


async def test_servers_join_one_after_the_other_and_workers_by_a_token_of_their_own(desk: Desk) -> None:
    for name, role in (("cp2", "control-plane"), ("cp3", "control-plane"), ("w1", "worker")):
        await desk.expect(name, role)
    roles = rpc.EnrollResponse
    assert await reason_of(desk.enrol(token="w1", server_id="srv-w1")) == "JOIN_NOT_YET"
    first = await desk.enrol(addresses=["10.0.1.2"])
    assert (first.role, first.join_endpoint) == (roles.ROLE_INIT, "")
    assert len({first.join_token, first.worker_token, ""}) == 3
    assert await reason_of(desk.enrol(token="cp2", server_id="srv-cp2")) == "JOIN_NOT_YET"
    await desk.connect(first.agent_token, report(1, heartbeat=pb.AgentHeartbeat(api_healthy=True, voting_members=1)))
    assert await reason_of(desk.enrol(token="cp2", server_id="srv-cp2")) == "JOIN_NOT_YET", (
        "nobody knows it by anything"
    )
    await desk.connect(first.agent_token, report(2, heartbeat=voting(1)))
    second = await desk.enrol(token="cp2", server_id="srv-cp2")
    assert (second.role, second.join_endpoint) == (roles.ROLE_JOIN, "10.0.1.2")
    known = f"K10{AUTHORITY}::"
    assert (second.join_token, second.worker_token) == (f"{known}server:{first.join_token}", first.worker_token)
    assert await reason_of(desk.enrol(token="cp3", server_id="srv-cp3")) == "JOIN_NOT_YET", "cp2 does not vote yet"
    worker = await desk.enrol(token="w1", server_id="srv-w1")
    assert (worker.role, worker.worker_token) == (roles.ROLE_WORKER, "")
    assert worker.join_token == f"{known}node:{first.worker_token}"
    await desk.connect(first.agent_token, report(3, heartbeat=voting(2)))
    third = await desk.enrol(token="cp3", server_id="srv-cp3")
    assert (third.role, third.join_token) == (roles.ROLE_JOIN, second.join_token)
    again = await desk.enrol(token="cp2", server_id="srv-cp2")
    assert (again.role, again.join_token) == (second.role, second.join_token)


async def test_foreign_tokens_and_servers_are_refused_by_reason(desk: Desk) -> None:
    assert await reason_of(desk.enrol(token="other")) == "TOKEN_UNKNOWN"
    assert await reason_of(desk.enrol(server_id="srv-2")) == "TOKEN_OTHER_SERVER"
    assert await reason_of(desk.enrol(csr="-----BEGIN NONSENSE-----")) == "CSR_INVALID"


async def test_a_server_waits_until_its_id_is_in_the_ledger(bench: Bench) -> None:
    desk = Desk(bench)
    await desk.open(server_id="")
    assert await reason_of(desk.enrol()) == "JOIN_NOT_YET"


async def test_an_expired_token_is_refused(bench: Bench) -> None:
    desk = Desk(bench)
    await desk.open(ttl=timedelta(seconds=-1))
    assert await reason_of(desk.enrol()) == "TOKEN_EXPIRED"


async def test_reports_become_states_once_and_are_acknowledged(desk: Desk) -> None:
    token = (await desk.enrol()).agent_token
    told = pb.AgentComponents(full=True, releases=[released("bp-a"), released("bp-b", status="Unknown")])
    probe = pb.AgentProbeResult(component="bp-a", passed=True)
    answers = await desk.connect(token, report(1, components=told), report(2, probe_result=probe))
    assert answers[-1].ack == 2
    assert await states(desk) == {"bp-a": "READY", "bp-b": "INSTALLING"}
    version = (await desk.bench.get()).version
    assert (await desk.connect(token, report(1, components=told), report(2, probe_result=probe)))[-1].ack == 2
    assert (await desk.bench.get()).version == version, "a repeat changes nothing"


async def test_what_needs_a_failed_component_is_blocked(desk: Desk) -> None:
    token = (await desk.enrol()).agent_token
    behind = released("bp-b", status="False", reason="DependencyNotReady")
    told = pb.AgentComponents(full=True, releases=[released("bp-a", status="False", stalled=True), behind])
    await desk.connect(token, report(1, components=told))
    assert await states(desk) == {"bp-a": "FAILED", "bp-b": "BLOCKED"}


async def test_a_heartbeat_that_says_nothing_new_is_confirmed_with_a_pace_and_not_written(desk: Desk) -> None:
    token, heard = (await desk.enrol()).agent_token, asyncio.Event()

    async def at() -> Any:
        async with desk.bench.daemon.daemon.work.reading() as tx:
            row = await tx.cluster("omantel", CLUSTER)
        return row.heartbeat_at, row.heartbeat

    async def told() -> AsyncIterator[Any]:
        for number, members in ((1, 1), (2, 1), (3, 2)):
            yield report(number, heartbeat=voting(members))
            await heard.wait()
            heard.clear()

    call = desk.stub.Connect(told(), metadata=(("authorization", f"Bearer {token}"),))
    seen = []
    async for command in call:
        if command.ack:
            assert command.heartbeat_interval.ToTimedelta() >= timedelta(seconds=1)
            seen.append(await at())
            heard.set()
        if len(seen) == 3:
            break
    call.cancel()
    assert seen[0] == seen[1]
    assert seen[2][0] > seen[1][0]
    assert seen[2][1]["voting_members"] == 2


async def test_a_report_about_another_cluster_or_server_ends_the_stream(desk: Desk) -> None:
    token = (await desk.enrol()).agent_token
    beat = pb.AgentHeartbeat(api_healthy=True)
    other = report(1, heartbeat=beat, cluster="sovereigns/omantel/clusters/sb-west-mgt-dev")
    assert await reason_of(desk.connect(token, other)) == "OTHER_CLUSTER"
    assert await reason_of(desk.connect(token, report(1, heartbeat=beat, server_id="srv-9"))) == "OTHER_CLUSTER"
    assert await reason_of(desk.connect("nonsense", report(1, heartbeat=beat))) == "TOKEN_REJECTED"


async def test_a_command_for_one_server_reaches_that_one_and_others_the_control_plane_alone(desk: Desk) -> None:
    await desk.expect("w1", "worker")
    first = await desk.enrol(addresses=["10.0.1.2"])
    await desk.connect(first.agent_token, report(1, heartbeat=voting(1)))
    worker = await desk.enrol(token="w1", server_id="srv-w1")

    async def order(tx: Store) -> tuple[int, int]:
        common, own = pb.AgentCommand(probe={}), pb.AgentCommand(upgrade={})
        return (
            await tx.command("omantel", CLUSTER, common.SerializeToString()),
            await tx.command("omantel", CLUSTER, own.SerializeToString(), server="w1"),
        )

    common, own = await desk.bench.daemon.daemon.work.again(order)
    of_worker = report(1, log_lines=pb.AgentLogLines(), server_id="srv-w1")
    assert {command.id for command in await desk.connect(worker.agent_token, of_worker)} == {own, 0}
    probed = pb.AgentProbeResult(component="bp-a", probe="ready", command=common, message="it does not answer")
    assert {c.id for c in await desk.connect(first.agent_token, report(2, probe_result=probed))} == {common, 0}
    async with desk.bench.daemon.daemon.work.reading() as tx:
        end = await tx.command_end("omantel", CLUSTER, common)
        assert end is not None
        assert (end.code, end.message, end.remaining) == ("not_passed", "it does not answer", ())
        assert await tx.command_end("omantel", CLUSTER, own) is None


async def test_an_agent_may_call_nothing_else(desk: Desk) -> None:
    token = (await desk.enrol()).agent_token
    stub: Any = desk.bench.daemon.stub(stubs.SovereignServiceStub, token=token)
    assert await reason_of(stub.GetSovereign(rpc.GetSovereignRequest(name="sovereigns/omantel"))) == "CALL_DENIED"


async def test_a_tree_is_read_with_its_own_login_only_and_never_written(bench: Bench) -> None:
    await bench.create()
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    url = (await bench.get()).gitops_url
    passwords = Passwords(bytes.fromhex((bench.home / "git.key").read_text()))
    uid = (await bench.get()).uid
    login = (f"omantel/{CLUSTER}", passwords.password(uid, CLUSTER))
    refs = f"{url}/info/refs?service=git-upload-pack"
    async with httpx.AsyncClient() as http:
        assert (await http.get(refs)).status_code == 401
        assert (await http.get(refs, auth=(login[0], "wrong"))).status_code == 401
        assert (await http.get(refs, auth=("other/x", login[1]))).status_code == 401
        assert (await http.get(refs, auth=login)).status_code == 200
        assert (await http.get(refs.replace("upload", "receive"), auth=login)).status_code == 403
        assert (await http.post(f"{url}/git-receive-pack", auth=login)).status_code == 403
        assert (await http.get(f"{url}/HEAD", auth=login)).status_code == 403
