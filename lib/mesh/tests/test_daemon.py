"""The chassis from outside: a small real daemon over gRPC and NATS."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import structlog
from catalyst.mesh.v1 import service_pb2 as mesh_pb2
from catalyst.mesh.v1 import service_pb2_grpc as mesh_grpc
from catalyst.pooldomain.v1.service_pb2 import (
    GetAllocationRequest,
    ListAllocationsRequest,
    ReserveAllocationRequest,
    WatchAllocationsRequest,
    WatchAllocationsResponse,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import Daemon, Issuer, explain
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.client import MARGIN, _Outgoing
from catalyst_mesh.logs import _add_call
from catalyst_mesh.plugins import LoadedPlugin
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of, running
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.servers import NatsServer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import select, text

from .toy import ToySettings, compose, heard

pytestmark = pytest.mark.either_database

POOL = "pools/omani.works"
WATCH = WatchAllocationsRequest(parent=POOL)


def wish(label: str = "acme", owner: str = "organizations/one", request_id: str = "") -> ReserveAllocationRequest:
    return ReserveAllocationRequest(parent=POOL, label=label, owner=owner, request_id=request_id)


async def refusal(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return explain(caught.value)


async def told(daemon: RunningDaemon) -> list[str]:
    async with daemon.daemon.db.read() as sql:
        return [row.name for row in (await sql.execute(select(heard).order_by(heard.c.number))).all()]


async def test_a_retry_gets_the_first_answer_and_has_one_effect(daemon: RunningDaemon) -> None:
    stub = daemon.stub(AllocationServiceStub)
    same = wish(request_id=str(uuid4()))
    answers = await asyncio.gather(*(stub.ReserveAllocation(same) for _ in range(20)))
    assert {answer.allocation.version for answer in answers} == {1}
    assert (await stub.ReserveAllocation(wish())).allocation.version == 2


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
async def test_a_daemon_that_has_stopped_leaves_no_socket_open(home: Path, own_nats: NatsServer, database: str) -> None:
    def sockets() -> set[str]:
        links = (os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink())
        return {link for link in links if link.startswith("socket:")}

    async def lives() -> None:
        async with running(compose, ToySettings, home, nats_url=own_nats.url, database_url=database) as daemon:
            await daemon.stub(AllocationServiceStub).ReserveAllocation(wish(f"n{uuid4().hex[:8]}"))
            await eventually(lambda: told(daemon), within=60)

    await lives()  # what gRPC and the loop keep for a process is open from here on
    before = sockets()
    await lives()
    await eventually(lambda: sockets() <= before, within=60, what="all sockets are closed")


async def test_a_request_id_with_another_body_is_refused(daemon: RunningDaemon) -> None:
    stub, key = daemon.stub(AllocationServiceStub), str(uuid4())
    await stub.ReserveAllocation(wish(request_id=key))
    why = await refusal(stub.ReserveAllocation(wish("other", request_id=key)))
    assert (why.code, why.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_of_50_callers_one_gets_the_name(daemon: RunningDaemon) -> None:
    calls = (daemon.stub(AllocationServiceStub).ReserveAllocation(wish(owner=f"organizations/o{n}")) for n in range(50))
    reasons = await asyncio.gather(*(reason_of(call) for call in calls))
    assert sorted(reasons) == ["NAME_TAKEN"] * 49 + ["OK"]


async def test_every_violation_comes_back_at_once(daemon: RunningDaemon) -> None:
    bad = ReserveAllocationRequest(parent="pools/", label="x" * 2000, request_id="no-uuid")
    why = await refusal(daemon.stub(AllocationServiceStub).ReserveAllocation(bad))
    assert why.reason == "REQUEST_INVALID"
    assert {v.field for v in why.violations} == {"parent", "label", "request_id"}


async def test_no_token_and_a_forged_token_are_unauthenticated(daemon: RunningDaemon, tmp_path: Path) -> None:
    forged = Issuer.open(tmp_path).token("admin", roles=["sovereign-admin"])
    for token in ("", "rubbish", forged):
        why = await refusal(daemon.stub(AllocationServiceStub, token=token).ReserveAllocation(wish()))
        assert (why.code, why.reason) == ("UNAUTHENTICATED", "TOKEN_REJECTED")


async def test_an_expired_token_is_unauthenticated(daemon: RunningDaemon) -> None:
    old = daemon.issuer.token("me", ttl=10, issued_at=1_700_000_000)
    assert (
        await refusal(daemon.stub(AllocationServiceStub, token=old).ReserveAllocation(wish()))
    ).code == "UNAUTHENTICATED"


async def test_what_the_table_does_not_name_is_denied(daemon: RunningDaemon) -> None:
    stub = daemon.stub(AllocationServiceStub)
    assert await reason_of(stub.GetAllocation(GetAllocationRequest(name=f"{POOL}/allocations/acme"))) == "CALL_DENIED"


async def test_a_bug_tells_the_caller_its_trace_and_nothing_else(daemon: RunningDaemon) -> None:
    call = daemon.admin(AllocationServiceStub).GetAllocation(GetAllocationRequest(name=f"{POOL}/allocations/acme"))
    why = await refusal(call)
    assert (why.code, why.reason) == ("INTERNAL", "INTERNAL")
    assert len(why.metadata["trace_id"]) == 32
    assert "secret" not in why.message


async def test_a_daemon_that_states_no_deadline_is_refused(daemon: RunningDaemon) -> None:
    token = daemon.issuer.token("billing", service="billing")
    async with grpc.aio.insecure_channel(daemon.target) as channel:
        call = AllocationServiceStub(channel).ReserveAllocation(
            wish(), metadata=(("authorization", f"Bearer {token}"),)
        )
        assert (await refusal(call)).reason == "DEADLINE_REQUIRED"


async def test_each_commit_is_told_once_and_in_order(daemon: RunningDaemon) -> None:
    stub = daemon.stub(AllocationServiceStub)
    for _ in range(5):
        await stub.ReserveAllocation(wish())
    wanted = [f"{POOL}/allocations/acme@{n}" for n in range(1, 6)]
    await eventually(lambda: _equal(told(daemon), wanted), within=60)


async def test_commands_work_while_nats_is_away_and_are_told_later(daemon: RunningDaemon, own_nats: NatsServer) -> None:
    stub = daemon.stub(AllocationServiceStub)
    await stub.ReserveAllocation(wish())
    own_nats.kill()
    for _ in range(3):
        await stub.ReserveAllocation(wish())
    own_nats.start()
    wanted = [f"{POOL}/allocations/acme@{n}" for n in range(1, 5)]
    await eventually(lambda: _equal(told(daemon), wanted), within=60)


async def test_a_restart_tells_what_was_not_told_before(home: Path, own_nats: NatsServer) -> None:
    async with running(compose, ToySettings, home, nats_url="nats://127.0.0.1:9") as first:
        await first.stub(AllocationServiceStub).ReserveAllocation(wish())
        assert await told(first) == []
    async with running(compose, ToySettings, home, nats_url=own_nats.url) as second:
        await eventually(lambda: _equal(told(second), [f"{POOL}/allocations/acme@1"]), within=60)


async def test_health_metrics_and_readiness_answer(daemon: RunningDaemon) -> None:
    async with grpc.aio.insecure_channel(daemon.target) as channel:
        for name in ("", "catalyst.pooldomain.v1.AllocationService"):
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async with httpx.AsyncClient(base_url=daemon.side) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        assert "catalyst_outbox_pending" in (await http.get("/metrics")).text


async def test_plugins_are_listed_by_every_daemon(daemon: RunningDaemon) -> None:
    answer = await daemon.stub(mesh_grpc.PluginServiceStub).ListPlugins(mesh_pb2.ListPluginsRequest())
    assert list(answer.plugins) == []


async def test_a_refusal_in_a_stream_arrives_whole_after_what_was_sent(daemon: RunningDaemon) -> None:
    stream = daemon.admin(AllocationServiceStub).WatchAllocations(WATCH)
    assert await stream.read() == WatchAllocationsResponse()
    assert (await refusal(stream.read())).reason == "NAME_TAKEN"


async def test_a_bug_in_a_stream_is_as_silent_as_elsewhere(daemon: RunningDaemon) -> None:
    stream = daemon.stub(AllocationServiceStub).WatchAllocations(WATCH)
    await stream.read()
    why = await refusal(stream.read())
    assert (why.reason, "secret" in why.message) == ("INTERNAL", False)


async def test_a_stream_needs_a_token_and_good_fields_too(daemon: RunningDaemon) -> None:
    nobody = daemon.stub(AllocationServiceStub, token="").WatchAllocations(WATCH)
    assert (await refusal(nobody.read())).reason == "TOKEN_REJECTED"
    wrong = daemon.stub(AllocationServiceStub).WatchAllocations(WatchAllocationsRequest(parent="x"))
    assert (await refusal(wrong.read())).reason == "REQUEST_INVALID"


async def test_a_method_that_is_not_there_yet_says_so(daemon: RunningDaemon) -> None:
    call = daemon.stub(AllocationServiceStub).ListAllocations(ListAllocationsRequest(parent=POOL))
    why = await refusal(call)
    assert (why.code, why.reason) == ("UNIMPLEMENTED", "METHOD_NOT_SERVED")
    assert why.metadata == {"method": "catalyst.pooldomain.v1.AllocationService/ListAllocations"}


async def test_a_caller_whose_time_is_over_is_told_so(daemon: RunningDaemon) -> None:
    stub = daemon.stub(AllocationServiceStub)
    async with daemon.daemon.db.begin() as sql:  # SQLite has one writer, so the call has to wait
        if daemon.daemon.db.has_row_locks:
            await sql.execute(text("LOCK TABLE outbox IN EXCLUSIVE MODE"))
        call = stub.ReserveAllocation(wish(), timeout=0.1)
        assert (await refusal(call)).code == "DEADLINE_EXCEEDED"
    assert (await stub.ReserveAllocation(wish())).allocation.version == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"GET /metrics HTTP/1.1\r\n\r\n", b"200"), (b"POST /livez HTTP/1.1\r\n\r\n", b"405"),
     (b"GET /secret HTTP/1.1\r\n\r\n", b"404"), (b"rubbish\r\n\r\n", b"400"), (b"x" * 200_000, b"")],
    ids=["metrics", "post", "unknown", "rubbish", "endless line"],
)  # fmt: skip
async def test_the_side_port_answers_or_hangs_up_and_goes_on(daemon: RunningDaemon, sent: bytes, status: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.daemon.ports[1])
    with suppress(ConnectionError):
        writer.write(sent)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 60)
        assert answer[9:12] == status
    writer.close()
    async with httpx.AsyncClient(base_url=daemon.side) as http:
        assert (await http.get("/livez")).status_code == 200


async def test_readiness_names_what_is_missing(home: Path, own_nats: NatsServer) -> None:
    async def broken() -> bool:
        raise ZeroDivisionError

    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        daemon.checks = {"catalog": broken}
        return daemon

    async with (
        running(composed, ToySettings, home, nats_url=own_nats.url) as daemon,
        httpx.AsyncClient(base_url=daemon.side) as http,
    ):
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.text) == (503, "missing: catalog\n")
        assert (await http.get("/livez")).status_code == 200


async def _readiness(daemon: RunningDaemon) -> tuple[int, str]:
    async with httpx.AsyncClient(base_url=daemon.side, timeout=60) as http:
        answer = await http.get("/readyz")
        assert (await http.get("/livez")).text == "ok\n"  # whatever is away, the process lives
    return answer.status_code, answer.text


async def test_readiness_says_whether_the_database_or_nats_is_away(
    home: Path, own_nats: NatsServer, own_postgres: PostgresServer
) -> None:
    database = await own_postgres.database()
    async with running(compose, ToySettings, home, nats_url=own_nats.url, database_url=database) as daemon:

        async def ready(status: int, text: str) -> bool:
            return await _readiness(daemon) == (status, text)

        await eventually(lambda: ready(200, "ok\n"), within=60)
        own_nats.kill()
        await eventually(lambda: ready(200, "degraded: nats\n"), within=60)
        own_postgres.stop()
        await eventually(lambda: ready(503, "missing: database\ndegraded: nats\n"), within=60)
        own_postgres.start()
        own_nats.start()
        await eventually(lambda: ready(200, "ok\n"), within=60)


async def test_a_plugin_that_failed_to_load_makes_a_daemon_degraded_and_no_more(
    home: Path, own_nats: NatsServer
) -> None:
    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        daemon.plugins._found["acme"] = LoadedPlugin("acme", failure="it failed to load: ImportError")
        return daemon

    async with running(composed, ToySettings, home, nats_url=own_nats.url) as daemon:
        await eventually(lambda: _is(_readiness(daemon), (200, "degraded: plugins\n")), within=60)


async def _is(answer: Any, wanted: object) -> bool:
    return bool(await answer == wanted)


async def test_a_refused_caller_is_named_in_the_log_with_the_trace_of_its_call(
    daemon: RunningDaemon,
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    call = daemon.stub(AllocationServiceStub, "eve").GetAllocation(
        GetAllocationRequest(name=f"{POOL}/allocations/acme"),
        metadata=(("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),),
    )
    with structlog.testing.capture_logs(processors=[_add_call]) as lines:
        assert await reason_of(call) == "CALL_DENIED"
    (line,) = [line for line in lines if line["event"] == "call refused"]
    assert (line["log_level"], line["principal"], line["trace_id"]) == ("warning", "eve", trace)


async def test_a_worker_with_a_bug_is_started_again_and_takes_nothing_along(home: Path, own_nats: NatsServer) -> None:
    class Clumsy:
        runs = 0

        async def run(self, stop: asyncio.Event) -> None:
            self.runs += 1
            raise ZeroDivisionError

    clumsy = Clumsy()

    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        daemon.workers = [clumsy]
        return daemon

    async with running(composed, ToySettings, home, nats_url=own_nats.url) as daemon:
        await eventually(lambda: clumsy.runs >= 2, within=60)
        assert (await daemon.stub(AllocationServiceStub).ReserveAllocation(wish())).allocation.version == 1


class Stubborn:
    """A worker that does not end at `stop`, and swallows every cancellation."""

    ran = released = False

    async def run(self, stop: asyncio.Event) -> None:
        self.ran = True
        while not self.released:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)


async def test_a_daemon_that_cannot_start_ends_whatever_its_workers_do(home: Path, own_nats: NatsServer) -> None:
    stubborn = Stubborn()

    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        daemon.workers = [stubborn]
        return daemon

    taken = own_nats.url.removeprefix("nats://")
    with pytest.raises(OSError, match="address already in use"):
        async with asyncio.timeout(60), running(composed, ToySettings, home, nats_url=own_nats.url, side_listen=taken):
            raise AssertionError("it has started")
    assert stubborn.ran
    stubborn.released = True


ENDLESS = """
import asyncio, sys
from lib.mesh.tests.test_daemon import Stubborn
from lib.mesh.tests.toy import ToySettings, compose
from catalyst_mesh import main

async def composed(settings):
    daemon = await compose(settings)
    daemon.workers = [Stubborn()]
    return daemon

main("pooldomain", ToySettings(side_listen=sys.argv[1], nats_url="nats://127.0.0.1:1"), composed)
"""


async def test_its_process_ends_too(home: Path, own_nats: NatsServer) -> None:
    taken = own_nats.url.removeprefix("nats://")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ENDLESS, taken, cwd=home, env=env, stdout=-1)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 1
    assert b"worker does not end" in said


async def _equal(answer: Any, wanted: list[str]) -> bool:
    got = await answer
    assert got == wanted
    return True


@pytest.mark.parametrize("method", ["catalyst.billing.v1.InvoiceService/GetInvoice", "no.such.Service/Method"])
async def test_a_service_that_is_not_here_answers_with_a_reason(daemon: RunningDaemon, method: str) -> None:
    async with grpc.aio.insecure_channel(daemon.target) as channel:
        for make in (channel.unary_unary, channel.unary_stream):
            call = make(f"/{method}")(b"")
            why = await refusal(call if make == channel.unary_unary else call.read())
            assert (why.code, why.reason, why.metadata) == ("UNIMPLEMENTED", "METHOD_NOT_SERVED", {"method": method})


async def test_a_call_never_takes_longer_than_our_own_caller_waits() -> None:
    patience = _Outgoing(lambda: "", 10).patience
    assert (patience(None), patience(3)) == (10, 3)
    enter(Call(deadline=asyncio.get_running_loop().time() + 2))
    assert patience(60) == pytest.approx(2 - MARGIN, abs=0.5)
    assert patience(1) == 1
