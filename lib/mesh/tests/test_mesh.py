"""Calls from another Python service: deadlines, retries, errors, request ids, operations, certificates."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest, ReserveAllocationResponse
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import SIGNED_IN, Daemon, Service, caller, current, rows
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.errors import CallFailed
from catalyst_mesh.mesh import Mesh, OperationFailed, StillGoing
from catalyst_mesh.settings import SettingsFault
from catalyst_mesh.tls import CertificateFiles, CertificatesUnusable
from catalyst_sdk import Code
from catalyst_testkit.authority import Authority, replace
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer
from google.longrunning import operations_pb2, operations_pb2_grpc

from .toy import AllocationService, ToySettings, compose

POOL = "pools/omani.works"


class Heard(AllocationService):
    """Remembers what arrived."""

    def __init__(self, work: Any) -> None:
        super().__init__(work)
        self.requests: list[Any] = []
        self.remaining: list[float] = []
        self.subjects: list[str] = []
        self.entered = asyncio.Event()
        self.go = asyncio.Event()

    async def ReserveAllocation(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.remaining.append(context.time_remaining())
        self.subjects.append(caller().subject)
        if request.label == "slow":
            self.entered.set()
            await self.go.wait()
        return await super().ReserveAllocation(request, context)


class Operations(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # generated without types
    """An operation that is done at the third look."""

    looks = 0

    async def GetOperation(self, request: Any, context: Any) -> Any:
        self.looks += 1
        answer = operations_pb2.Operation(
            name=request.name, done=self.looks >= 3 and request.name != "operations/endless"
        )
        if answer.done and request.name == "operations/bad":
            answer.error.code, answer.error.message = Code.ABORTED.value, "another was faster"
        elif answer.done:
            answer.response.Pack(ReserveAllocationResponse(reservation_token="t"))
        return answer


class Bench:
    def __init__(self, running: RunningDaemon, heard: Heard) -> None:
        self.running, self.heard = running, heard

    def mesh(self, subject: str = "ada", **options: Any) -> Mesh:
        return Mesh(self.running.target, token=self.running.issuer.token(subject), **options)


@pytest.fixture
async def bench(home: Path, own_nats: NatsServer) -> AsyncIterator[Bench]:
    made: list[Heard] = []

    async def composed(settings: ToySettings) -> Daemon:
        daemon = await compose(settings)
        only = daemon.services[0]
        made.append(Heard(daemon.work))
        name = "google.longrunning.Operations"
        daemon.services = [
            Service(made[0], only.add, only.name),
            Service(Operations(), operations_pb2_grpc.add_OperationsServicer_to_server, name),
        ]
        daemon.access = {**daemon.access, **rows(name, GetOperation=SIGNED_IN)}
        return daemon

    async with running(composed, ToySettings, home, nats_url=own_nats.url) as daemon:
        yield Bench(daemon, made[0])


def wish(label: str = "acme", owner: str = "organizations/one") -> ReserveAllocationRequest:
    return ReserveAllocationRequest(parent=POOL, label=label, owner=owner)


async def test_a_refusal_is_an_exception_with_reason_and_values(bench: Bench) -> None:
    async with bench.mesh() as mesh:
        names = mesh.stub(AllocationServiceStub)
        await names.ReserveAllocation(wish())
        with pytest.raises(CallFailed, match="NAME_TAKEN") as caught:
            await names.ReserveAllocation(wish(owner="organizations/two"))
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert (caught.value.reason, caught.value.metadata) == ("NAME_TAKEN", {"name": f"{POOL}/allocations/acme"})


async def test_nobody_at_the_other_side_is_told_without_a_reason() -> None:
    async with Mesh("127.0.0.1:9", deadline=60) as mesh:
        with pytest.raises(CallFailed, match="UNAVAILABLE") as caught:
            await mesh.stub(AllocationServiceStub).ReserveAllocation(wish())
    assert (caught.value.reason, caught.value.code()) == ("", grpc.StatusCode.UNAVAILABLE)


async def test_every_call_has_a_deadline_and_a_nested_one_gets_what_remains(bench: Bench) -> None:
    async with bench.mesh(deadline=7) as mesh:
        names = mesh.stub(AllocationServiceStub)
        await names.ReserveAllocation(wish())
        enter(Call(method="a.v1.S/Outer", deadline=asyncio.get_running_loop().time() + 3))
        assert current().method
        await names.ReserveAllocation(wish())
        enter(None)
        await names.ReserveAllocation(wish(), timeout=20)
    first, nested, stated = bench.heard.remaining
    assert 3 < first <= 7
    assert 0 < nested < 3
    assert 7 < stated < 21  # gRPC rounds up


async def test_a_call_that_ran_out_of_time_is_cancelled_at_the_daemon_too(bench: Bench) -> None:
    async with bench.mesh() as mesh:
        with pytest.raises(CallFailed) as caught:
            await mesh.stub(AllocationServiceStub).ReserveAllocation(wish("slow"), timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_who_is_cancelled_takes_its_call_along(bench: Bench) -> None:
    ended = asyncio.Event()
    original = bench.heard.go.wait

    async def watched() -> Any:
        try:
            return await original()
        finally:
            ended.set()

    bench.heard.go.wait = watched  # type: ignore[method-assign]  # the event is this test's own
    async with bench.mesh() as mesh:
        asking = asyncio.ensure_future(_ask(mesh, "slow"))
        await asyncio.wait_for(bench.heard.entered.wait(), 60)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(ended.wait(), 60)


async def _ask(mesh: Mesh, label: str) -> Any:
    return await mesh.stub(AllocationServiceStub).ReserveAllocation(wish(label))


async def test_a_request_without_an_id_gets_one_and_the_callers_message_stays_as_it_was(bench: Bench) -> None:
    mine = wish()
    async with bench.mesh() as mesh:
        names = mesh.stub(AllocationServiceStub)
        await names.ReserveAllocation(mine)
        await names.ReserveAllocation(mine)
    first, second = (request.request_id for request in bench.heard.requests)
    assert len(first) == len(second) == 36
    assert first != second
    assert mine.request_id == ""


@pytest.mark.parametrize("form", ["text", "file", "function"])
async def test_the_token_may_be_text_a_file_or_a_function(bench: Bench, home: Path, form: str) -> None:
    text = bench.running.issuer.token("grace")
    (home / "hers").write_text(text)
    token: Any = {"text": text, "file": home / "hers", "function": lambda: text}[form]
    async with Mesh(bench.running.target, token=token) as mesh:
        await mesh.stub(AllocationServiceStub).ReserveAllocation(wish())
    assert bench.heard.subjects == ["grace"]


def operation(name: str) -> operations_pb2.Operation:
    return operations_pb2.Operation(name=f"operations/{name}")


async def test_an_operation_is_waited_for_with_progress(bench: Bench) -> None:
    told: list[bool] = []
    async with bench.mesh() as mesh:
        answer = await mesh.finished(
            operation("good"), ReserveAllocationResponse, within=60, told=lambda seen: told.append(seen.done)
        )
    assert answer.reservation_token == "t"
    assert told == [False, False, False, True]


async def test_an_operation_that_failed_says_why(bench: Bench) -> None:
    async with bench.mesh() as mesh:
        with pytest.raises(OperationFailed, match="another was faster") as caught:
            await mesh.finished(operation("bad"), ReserveAllocationResponse, within=60)
    assert caught.value.why.code == "ABORTED"


async def test_the_time_to_wait_ends_and_the_operation_goes_on(bench: Bench) -> None:
    async with bench.mesh() as mesh:
        with pytest.raises(StillGoing, match="it goes on") as caught:
            await mesh.finished(operation("endless"), ReserveAllocationResponse, within=0.5)
    assert caught.value.operation.name == "operations/endless"


def files(folder: Path) -> dict[str, Path]:
    return {
        "tls_certificate_file": folder / "tls.crt",
        "tls_key_file": folder / "tls.key",
        "tls_authorities_file": folder / "ca.crt",
    }  # fmt: skip - one side's files


def side(folder: Path) -> CertificateFiles:
    return CertificateFiles(certificate=folder / "tls.crt", key=folder / "tls.key", authorities=folder / "ca.crt")


async def test_over_mutual_tls_a_stranger_comes_no_further_than_the_handshake(home: Path, own_nats: NatsServer) -> None:
    ours, strange = Authority(), Authority("strange")
    for name, authority in (("server", ours), ("client", ours), ("stranger", strange)):
        authority.issue(name, home / name, authorities=ours.pem)
    options = {**files(home / "server"), "tls_require_client": True}
    async with running(compose, ToySettings, home, nats_url=own_nats.url, **options) as daemon:
        token = daemon.issuer.token("ada")
        async with Mesh(daemon.target, token=token, tls=side(home / "client")) as mesh:
            await mesh.stub(AllocationServiceStub).ReserveAllocation(wish())
        only_believes = CertificateFiles(authorities=home / "client" / "ca.crt")
        for tls in (side(home / "stranger"), only_believes, None):
            async with Mesh(daemon.target, token=token, tls=tls, deadline=60) as mesh:
                with pytest.raises(CallFailed) as caught:
                    await mesh.stub(AllocationServiceStub).ReserveAllocation(wish())
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_half_a_renewal_is_not_taken_and_the_whole_one_is(tmp_path: Path) -> None:
    authority, folder = Authority(), tmp_path / "one"
    authority.issue("one", folder)
    watched = side(folder)
    before = watched.material()
    authority.issue("one", tmp_path / "two")
    replace(folder / "tls.key", (tmp_path / "two" / "tls.key").read_bytes())
    assert watched.material() == before
    (folder / "ca.crt").rename(folder / "gone")
    assert watched.material() == before
    (folder / "gone").rename(folder / "ca.crt")
    replace(folder / "tls.crt", (tmp_path / "two" / "tls.crt").read_bytes())
    assert watched.material().key == (folder / "tls.key").read_bytes()
    assert watched.version == 2


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key", "ca.crt"])
def test_rubbish_in_a_file_stops_the_start_and_is_not_shown(tmp_path: Path, broken: str) -> None:
    Authority().issue("one", tmp_path)
    (tmp_path / broken).write_text("-----BEGIN PRIVATE KEY-----\ncanary-1\n")
    with pytest.raises(CertificatesUnusable) as caught:
        side(tmp_path)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("given", [{"TLS_KEY_FILE": "k"}, {"TLS_REQUIRE_CLIENT": "true"}])
def test_half_of_what_tls_needs_stops_the_start(given: dict[str, str]) -> None:
    with pytest.raises(SettingsFault, match="tls_certificate_file"):
        ToySettings.load({f"CATALYST_PDM_{name}": value for name, value in given.items()}, [])
