"""`request_id` (AIP-155) and `validate_only` (AIP-163), asked of every method that says it has them."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from catalyst_mesh.errors import Explained
from google.protobuf.message import Message

from .conftest import mostly_on
from .contracts import rpcs
from .mesh import Mesh, descriptor, new_id, request_of
from .wishes import ASKED_BY, STEPS_OF_RUNS, WRITES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), mostly_on("postgresql")]


def having(field: str) -> Iterator[str]:
    """Methods whose request has `field`."""
    for rpc in rpcs():
        if rpc.field(field) is not None:
            yield f"{rpc.service}/{rpc.method.name}"


async def ask(around: Mesh, method: str, request: Message) -> Message:
    return await around.call(method, request, token=around.token(**ASKED_BY.get(method, {})))


async def refused(around: Mesh, method: str, request: Message) -> Explained:
    return await around.refusal(method, request, token=around.token(**ASKED_BY.get(method, {})))


def with_fields(request: Message, **fields: object) -> Message:
    """The same request with other fields."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


async def test_every_writer_that_is_served_has_a_good_request_here(around: Mesh) -> None:
    missing = []
    for method in {*having("request_id"), *having("validate_only")} - set(WRITES) - set(STEPS_OF_RUNS):
        why = await refused(around, method, request_of(method))
        if why.reason != "METHOD_NOT_SERVED" and "request_id" in descriptor(method).input_type.fields_by_name:
            missing.append((method, why.code, why.reason))
    assert sorted(missing) == []


async def test_a_retry_gets_the_first_answer_and_another_body_is_refused(around: Mesh) -> None:
    wrong = {}
    for method, wish in WRITES.items():
        request = with_fields(await wish(around), request_id=new_id())
        first = await ask(around, method, request)
        again = await asyncio.gather(*(ask(around, method, request) for _ in range(3)))
        other = await refused(around, method, other_body(request))
        if any(answer != first for answer in again):
            wrong[method] = "another answer"
        elif (other.code, other.reason) != ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"):
            wrong[method] = f"{other.code} {other.reason} {other.message}"
    assert wrong == {}


def other_body(request: Message) -> Message:
    """Another request that the contract still takes: one more byte in a field that is not looked at first."""
    copy = with_fields(request)
    for field in request.DESCRIPTOR.fields:
        if field.name in ("reason", "holder"):
            setattr(copy, field.name, getattr(request, field.name) + "!")
            return copy
    # A field that this release does not know is another body too.
    return type(request).FromString(request.SerializeToString() + b"\xfa\x3f\x01x")


async def test_equal_calls_at_once_have_one_effect(around: Mesh) -> None:
    method = "catalyst.pooldomain.v1.AllocationService/ReserveAllocation"
    request = with_fields(await WRITES[method](around), request_id=new_id())
    answers = await asyncio.gather(*(ask(around, method, request) for _ in range(50)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1


async def test_a_refusal_is_not_kept(around: Mesh) -> None:
    method = "catalyst.billing.v1.VoucherService/RedeemVoucher"
    request = with_fields(await WRITES[method](around), request_id=new_id())
    code = getattr(request, "code")  # noqa: B009 - fields of generated messages are not declared
    early = with_fields(request, code="CODE-NOT-YET")
    assert (await refused(around, method, early)).reason == "VOUCHER_NOT_FOUND"
    assert (await ask(around, method, with_fields(early, code=code))) is not None


async def test_keys_belong_to_their_caller(around: Mesh) -> None:
    method = "catalyst.billing.v1.AccountService/EnsureAccount"
    request = with_fields(await WRITES[method](around), request_id=new_id())
    await ask(around, method, request)
    mine = around.daemons["billing"].issuer.token("somebody-else", service="continuum")
    other = with_fields(await WRITES[method](around), request_id=getattr(request, "request_id"))  # noqa: B009 - as above
    assert (await around.refusal(method, other, token=mine)).code == "OK"


async def test_a_rehearsal_writes_nothing(around: Mesh) -> None:
    moved = {}
    for method in set(having("validate_only")) & set(WRITES):
        request = with_fields(await WRITES[method](around), validate_only=True, request_id=str(uuid4()))
        daemon = method.split(".")[1]
        before = await around.tables(daemon)
        await ask(around, method, request)
        after = await around.tables(daemon)
        if changed := [name for name in before if before[name] != after[name]]:
            moved[method] = changed
        await ask(around, method, with_fields(request, validate_only=False))
        if before == await around.tables(daemon):
            moved[method] = ["the real call writes nothing"]
    assert moved == {}


async def test_a_rehearsal_fails_where_the_real_call_would(around: Mesh) -> None:
    """What has just been done cannot be done again, or not with the etag that was read before."""
    other = {}
    for method in set(having("validate_only")) & set(WRITES):
        request = await WRITES[method](around)
        await ask(around, method, request)
        dry = await refused(around, method, with_fields(request, validate_only=True))
        real = await refused(around, method, request)
        if (dry.code, dry.reason) != (real.code, real.reason):
            other[method] = f"dry {dry.code} {dry.reason}, real {real.code} {real.reason}"
    assert other == {}


@pytest.mark.parametrize("name", ["billing", "pooldomain", "provisioner", "catalog"])
async def test_a_retry_after_a_restart_gets_the_first_answer(around: Mesh, name: str) -> None:
    methods = [method for method in WRITES if method.split(".")[1] == name]
    asked = [(m, with_fields(await WRITES[m](around), request_id=new_id())) for m in methods]
    first = [await ask(around, method, request) for method, request in asked]
    await around.stop(name)
    await around.start(name)
    assert [await ask(around, method, request) for method, request in asked] == first
