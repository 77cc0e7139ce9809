"""What every call can rely on: etags and masks of updates, deadlines, reflection, and all faults of a request at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import grpc
import pytest
from catalyst_mesh import explain
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from . import wishes
from .conftest import LONG
from .contracts import Rpc, rpcs
from .mesh import PACKAGES, Mesh, descriptor, request_of
from .unserved import DAEMONS, not_served

pytestmark = pytest.mark.asyncio(loop_scope="session")
UPDATES = [m for m in wishes.WRITES if m.rsplit("/", 1)[1].startswith("Update")]
GUARDED = [m for m in wishes.WRITES if "etag" in descriptor(m).input_type.fields_by_name]


def absent_methods() -> dict[str, set[str]]:
    """What no daemon has, by service; the roadmap shows the same."""
    absent: dict[str, set[str]] = {}
    for contract, package in DAEMONS.items():
        absent |= not_served(contract, package)
    return absent


async def test_every_update_that_is_served_has_a_good_request() -> None:
    absent = absent_methods()

    def is_served(rpc: Rpc) -> bool:
        missing = absent.get(rpc.service, set())
        return rpc.service.split(".")[1] in DAEMONS and not missing & {rpc.method.name, "all"}

    updates = {f"{rpc.service}/{rpc.method.name}" for rpc in rpcs() if rpc.method.name.startswith("Update")}
    served = {f"{rpc.service}/{rpc.method.name}" for rpc in rpcs() if is_served(rpc)}
    assert updates & served == set(UPDATES)


async def changed(request: Any, **fields: Any) -> Message:
    copy: Message = type(request)()
    copy.CopyFrom(request)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def by_turns(around: Mesh, methods: Sequence[str]) -> Sequence[str]:
    """In a short run each method on one kind of database, half of them on either."""
    return methods if LONG else sorted(methods)[around.is_on_postgresql :: 2]


async def test_a_path_that_is_not_there_is_refused_and_changes_nothing(around: Mesh) -> None:
    for method in by_turns(around, UPDATES):
        request = await wishes.WRITES[method](around)
        before = await around.tables(method.split(".")[1])
        for path in ("no_such_field", "name", "spec.no_such_field", "a..b", ""):
            wrong = await changed(request)
            wrong.update_mask.paths[:] = [path]  # type: ignore[attr-defined]  # a field of the generated message
            why = await around.refusal(method, wrong)
            assert (why.code, bool(why.violations)) == ("INVALID_ARGUMENT", True), (method, path, why)
        assert await around.tables(method.split(".")[1]) == before


async def test_an_etag_of_before_is_aborted_and_changes_nothing(around: Mesh) -> None:
    wrong = {}
    for method in by_turns(around, GUARDED):
        request = await changed(await wishes.WRITES[method](around), etag='"of before"')
        before = await around.tables(method.split(".")[1])
        why = await around.refusal(method, request)
        if (why.code, why.reason) != ("ABORTED", "ETAG_MISMATCH"):
            wrong[method] = f"{why.code} {why.reason}"
        elif await around.tables(method.split(".")[1]) != before:
            wrong[method] = "something was written"
    assert wrong == {}


async def test_of_64_writers_with_one_etag_one_wins(around: Mesh) -> None:
    """On each kind of database; in a short run each method on one of them."""
    for method in by_turns(around, [*UPDATES, "catalyst.provisioner.v1.RunService/PauseRun"]):
        request = await wishes.WRITES[method](around)
        answers = await asyncio.gather(*(around.refusal(method, request) for _ in range(64)))
        codes = sorted(answer.code for answer in answers)
        assert codes == ["ABORTED"] * 63 + ["OK"], (method, set(codes))


async def test_every_fault_of_a_request_comes_at_once(around: Mesh) -> None:
    """Whatever the contract can judge, in every served method that takes a name and a request id."""
    for method in wishes.WRITES:
        fields = descriptor(method).input_type.fields_by_name
        wrong: dict[str, Any] = {"request_id": "no uuid"} if "request_id" in fields else {}
        wrong |= {"name": "//"} if "name" in fields else {"parent": "//"} if "parent" in fields else {}
        wrong |= {"etag": "x" * 200} if "etag" in fields else {}
        caller = around.token(**wishes.ASKED_BY.get(method, {}))
        why = await around.refusal(method, request_of(method, **wrong), token=caller)
        assert why.reason == "REQUEST_INVALID", method
        assert {v.field for v in why.violations} >= set(wrong), method


async def test_a_daemon_that_states_no_deadline_is_refused_and_a_person_is_not(around: Mesh) -> None:
    for package in PACKAGES:
        method = next(m for m in served_reads() if m.split(".")[1] == package)
        daemon = around.token(service="provisioner", roles=["sovereign-admin", "billing-admin"])
        why = await around.refusal(method, request_of(method), token=daemon, within=None)
        assert (why.code, why.reason) == ("INVALID_ARGUMENT", "DEADLINE_REQUIRED"), package
        assert (await around.refusal(method, request_of(method), within=None)).reason != "DEADLINE_REQUIRED"


def served_reads() -> list[str]:
    return [
        "catalyst.catalog.v1.CatalogService/ListBlueprints",
        "catalyst.pooldomain.v1.PoolService/ListPools",
        "catalyst.billing.v1.LedgerService/ListFindings",
        "catalyst.continuum.v1.ContinuumService/ListContinuums",
        "catalyst.provisioner.v1.SovereignService/ListSovereigns",
        "catalyst.environment.v1.OrganizationService/ListOrganizations",
    ]


async def test_whatever_is_not_served_says_so_with_a_reason(around: Mesh) -> None:
    """Every unary method of every contract, to its daemon, empty: never a bare status."""
    bare, unserved, absent = {}, set(), absent_methods()
    for rpc in rpcs():
        method = f"{rpc.service}/{rpc.method.name}"
        if rpc.method.server_streaming or rpc.method.client_streaming:
            continue
        why = await around.refusal(method, request_of(method))
        if why.reason == "METHOD_NOT_SERVED":
            unserved.add(method)
        if why.code not in ("OK", *ALLOWED) or (why.code != "OK" and not why.reason):
            bare[method] = f"{why.code} {why.reason} {why.message}"
    assert bare == {}
    assert {m for m in unserved if {m.rpartition("/")[2], "all"} & absent.get(m.rpartition("/")[0], set())} == unserved


ALLOWED = ("INVALID_ARGUMENT", "UNIMPLEMENTED", "PERMISSION_DENIED")
"""What an empty request may be answered with."""


QUIET = 3
"""Seconds that a stream may say nothing in."""
REFUSALS = {
    "INVALID_ARGUMENT", "UNIMPLEMENTED", "PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION", "ABORTED",
    "ALREADY_EXISTS", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED", "UNAVAILABLE",
}  # fmt: skip
"""What a request may be answered with that has something in every field: whatever is no fault of the daemon's."""
SCALARS: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_STRING: "x-7", FieldDescriptor.CPPTYPE_BOOL: True, FieldDescriptor.CPPTYPE_ENUM: 1,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.7, FieldDescriptor.CPPTYPE_FLOAT: 0.7,
}  # fmt: skip


def fill(message: Any, depth: int = 0) -> None:
    """Put something of its type into every field; of a request only looked at (`validate_only`) nothing is written."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            one = b"x-7" if field.type == field.TYPE_BYTES else SCALARS.get(field.cpp_type, 7)
            one = str(uuid4()) if field.name == "request_id" else one
            if field.is_repeated:
                getattr(message, field.name).append(one)
            else:
                setattr(message, field.name, one)
        elif field.message_type.GetOptions().map_entry or depth > 3:
            continue
        elif field.is_repeated:
            fill(getattr(message, field.name).add(), depth + 1)
        else:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), depth + 1)


class Stranger:
    """A client that has no contract of ours: what it knows it has asked the daemon for."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        self._channel = channel
        self._pool = descriptor_pool.DescriptorPool()
        self._known: set[str] = set()

    async def services(self) -> list[str]:
        answer = await self._ask(reflection_pb2.ServerReflectionRequest(list_services=""))
        return [service.name for service in answer.list_services_response.service]

    async def learn(self, symbol: str) -> Any:
        """The service's descriptor, and with it every file that it needs."""
        answer = await self._ask(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
        for raw in answer.file_descriptor_response.file_descriptor_proto:
            await self._add(descriptor_pb2.FileDescriptorProto.FromString(raw))
        return self._pool.FindServiceByName(symbol)

    async def call(self, method: Any, token: str, *, fills: bool = False) -> Any:
        """Call with an empty request, or with something in every field; the answer, or the first of a stream."""
        request = message_factory.GetMessageClass(method.input_type)()
        if fills:
            fill(request)
        answer = message_factory.GetMessageClass(method.output_type)
        path, metadata = (
            f"/{method.containing_service.full_name}/{method.name}",
            (("authorization", f"Bearer {token}"),),
        )
        if not method.server_streaming:
            call: Any = self._channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
            return await call(request, metadata=metadata, timeout=60)
        call = self._channel.unary_stream(path, type(request).SerializeToString, answer.FromString)
        async for told in call(request, metadata=metadata, timeout=QUIET):
            return told
        return answer()

    async def _add(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        if file.name in self._known:
            return
        self._known.add(file.name)
        for needed in file.dependency:
            if needed not in self._known:
                answer = await self._ask(reflection_pb2.ServerReflectionRequest(file_by_filename=needed))
                for raw in answer.file_descriptor_response.file_descriptor_proto:
                    await self._add(descriptor_pb2.FileDescriptorProto.FromString(raw))
        self._pool.Add(file)

    async def _ask(self, question: Any) -> Any:
        async def one() -> AsyncIterator[Any]:
            yield question

        answers = [answer async for answer in self._stub.ServerReflectionInfo(one())]
        return answers[0]


@pytest.mark.parametrize("name", PACKAGES)
async def test_a_stranger_learns_a_daemon_by_reflection_and_is_answered_properly(around: Mesh, name: str) -> None:
    async with grpc.aio.insecure_channel(around.daemons[name].target) as channel:
        stranger = Stranger(channel)
        ours = [service for service in await stranger.services() if service.startswith("catalyst.")]
        assert f"catalyst.{name}.v1" in {service.rpartition(".")[0] for service in ours}
        for service in ours:
            known = await stranger.learn(service)
            for method in known.methods:
                if method.server_streaming or method.client_streaming:
                    continue
                try:
                    answer = await stranger.call(method, around.token())
                    assert answer.DESCRIPTOR.full_name == method.output_type.full_name
                except grpc.aio.AioRpcError as error:
                    why = explain(error)
                    assert why.code in ALLOWED, (service, method.name, why)
                    assert why.reason, (service, method.name)


@pytest.mark.parametrize("name", PACKAGES)
async def test_a_stranger_that_fills_every_field_is_answered_or_told_why_not(around: Mesh, name: str) -> None:
    """Of unary methods and of streams; none of them is a fault of the daemon."""
    wrong = {}
    async with grpc.aio.insecure_channel(around.daemons[name].target) as channel:
        stranger = Stranger(channel)
        for service in [service for service in await stranger.services() if service.startswith("catalyst.")]:
            for method in (await stranger.learn(service)).methods:
                if method.client_streaming:
                    continue
                try:
                    await stranger.call(method, around.token(), fills=True)
                except grpc.aio.AioRpcError as error:
                    why = explain(error)
                    is_quiet = method.server_streaming and why.code == "DEADLINE_EXCEEDED"
                    if not is_quiet and (why.code not in REFUSALS or not why.reason):
                        wrong[method.full_name] = f"{why.code} {why.reason} {why.message}"
    assert wrong == {}
