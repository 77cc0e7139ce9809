"""Every method of the catalogue, asked with every word that a searcher could try: made from the contracts, not by hand.

A question is a valid request of one method in which one text is what the searcher looks for; requests that the contract
refuses before anybody looks are left out, as they say the same to everybody.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import grpc
import protovalidate
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2
from catalyst_mesh import explain
from google.longrunning import operations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

SERVICES = (*service_pb2.DESCRIPTOR.services_by_name.values(), operations_pb2.DESCRIPTOR.services_by_name["Operations"])
USUAL = (
    "blueprints/bp-db",
    "blueprints/bp-db/versions/1.0.0",
    "environments/rival-prod",
    "1.0.0",
    "an-own",
    "sources/an-own",
    "sources/an-own/issues/0123456789abcdef",
    "apps/an-own",
    "plans/an-own",
    "addOns/an-own",
    "bundles/an-own",
    "industries/an-own",
    "priceBooks/1",
    "organizations/rival",
    "An own thing",
    "OMR",
    "directory",
)  # fmt: skip - a table
"""What stands in a text that has to say something, the first that the contract takes."""
TELLING = {
    "Lock.lock_version": 1,
    "ListIssuesRequest.parent": "sources/-",
    "Source.scope": pb.Source.SCOPE_ORGANIZATION,
    "Source.org": "organizations/rival",
    "Source.kind": "oci",
    "Installed.version": "1.0.0",
}  # fmt: skip - a table
"""What leads further into the catalogue than what the contract asks for, by field; where it is not the place of a word."""
ASKED_ANEW = frozenset({"catalogRevision", "revision", "expireTime", "updateTime", "etag", "lockDigest", "uid"})
"""Fields that differ between two askings of one thing, whoever asks."""
DEEP = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One request of one method."""

    method: MethodDescriptor
    request: Message

    def __str__(self) -> str:
        return f"{self.method.name}({MessageToDict(self.request)})"

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


def questions(words: Sequence[str]) -> Iterator[Question]:
    """Every valid request that has one of `words` in one place, and of each method one without."""
    for service in SERVICES:
        for method in service.methods:
            yield from _of(method, words)


def _of(method: MethodDescriptor, words: Sequence[str]) -> Iterator[Question]:
    plain = _mended(GetMessageClass(method.input_type)())
    assert plain is not None, f"{method.full_name} has a request that is valid"
    if "validate_only" in method.input_type.fields_by_name:
        plain.validate_only = True
    seen = set()
    for place, word in [((), ""), *product(_places(method.input_type), words)]:
        request = type(plain)()
        request.CopyFrom(plain)
        _put(request, place, word)
        _tell(request, place[-1:])
        mended = _mended(request, keeping=place)
        if mended is not None and mended.SerializeToString() not in seen:
            seen.add(mended.SerializeToString())
            yield Question(method, mended)


def _put(message: Any, place: Sequence[FieldDescriptor], word: str) -> None:
    for field in place[:-1]:
        inner = getattr(message, field.name)
        message = (inner[0] if inner else inner.add()) if field.is_repeated else inner
    for field in place[-1:]:
        if _is_map(field):
            getattr(message, field.name)[word] = f"reuse:{word}"
        elif field.message_type:
            getattr(message, field.name).update({word: word})
        elif field.is_repeated:
            del getattr(message, field.name)[:]
            getattr(message, field.name).append(word)
        else:
            setattr(message, field.name, word)


def _tell(message: Any, keeping: Sequence[FieldDescriptor]) -> None:
    """Fill in what leads further, in the messages that are there."""
    for name, value in TELLING.items():
        kind, _, field = name.partition(".")
        if message.DESCRIPTOR.name == kind and field not in (kept.name for kept in keeping):
            setattr(message, field, value)
    for _, inner in message.ListFields():
        for one in inner if hasattr(inner, "add") else [inner]:
            if isinstance(one, Message):
                _tell(one, keeping)


def _mended(request: Any, keeping: Sequence[FieldDescriptor] = ()) -> Any | None:
    """A request with what the contract misses; None where it refuses what stands in `keeping`."""
    for _ in range(20):
        wrong = _wrong(request)
        if wrong is None:
            return request
        *way, last = wrong
        if [field.name for field in keeping] == wrong or not _mend(request, way, last):
            return None
    return None


def _mend(request: Any, way: Sequence[str], last: str) -> bool:
    message = request
    for name in way:
        inner = getattr(message, name)
        message = inner[0] if hasattr(inner, "append") else inner
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.message_type:
        getattr(message, last).add() if field.is_repeated else getattr(message, last).SetInParent()
        return True
    if field.type == field.TYPE_ENUM:
        setattr(message, last, 1)
        return True
    for word in USUAL if field.type == field.TYPE_STRING else ():
        getattr(message, last).append(word) if field.is_repeated else setattr(message, last, word)
        if _wrong(request) != [*way, last]:
            return True
    return False


def _wrong(request: Message) -> list[str] | None:
    """The first field that the contract refuses; None: there is none."""
    try:
        protovalidate.validate(request)
    except protovalidate.ValidationError as error:
        place = error.violations[0].proto.field
        return [element.field_name for element in place.elements] if place else []
    return None


def _places(message: Any, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Where a request has text, also inside of its messages."""
    for field in message.fields:
        if field.name == "page_token":
            continue  # it is bound to whom it was given, and says the same of every other word
        if field.type == field.TYPE_STRING or _is_map(field) or _is_struct(field):
            yield (*before, field)
        elif field.message_type and field.message_type.file.package != "google.protobuf" and len(before) < DEEP:
            yield from _places(field.message_type, (*before, field))


def _is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map of texts."""
    kind = field.message_type
    return bool(kind and kind.GetOptions().map_entry and not kind.fields_by_name["value"].message_type)


def _is_struct(field: FieldDescriptor) -> bool:
    return bool(
        field.message_type and field.message_type.full_name == "google.protobuf.Struct" and not field.is_repeated
    )


async def heard(channel: grpc.aio.Channel, question: Question, token: str) -> Any:
    """What is answered, without what is new each time: a document, or how it was refused."""
    try:
        answer = await _asked(channel, question, [("authorization", f"Bearer {token}")] if token else [])
    except grpc.aio.AioRpcError as error:
        told = explain(error)
        return [told.code, told.reason, told.message, sorted(told.metadata.items()), list(map(str, told.violations))]
    return without(MessageToDict(answer), ASKED_ANEW)


async def _asked(channel: grpc.aio.Channel, question: Question, metadata: Any) -> Message:
    """The answer; of a stream, its first message."""
    kind = GetMessageClass(question.method.output_type)
    ways: Any = {
        "request_serializer": type(question.request).SerializeToString,
        "response_deserializer": kind.FromString,
    }
    if not question.method.server_streaming:
        only: Message = await channel.unary_unary(question.path, **ways)(
            question.request, metadata=metadata, timeout=60
        )
        return only
    stream = channel.unary_stream(question.path, **ways)(question.request, metadata=metadata, timeout=60)
    first: Any = await stream.read()
    stream.cancel()
    assert isinstance(first, Message), "a stream says something first"
    return first


def without(document: Any, names: frozenset[str]) -> Any:
    """A document without the fields of these names, at any depth."""
    if isinstance(document, dict):
        return {key: without(value, names) for key, value in document.items() if key not in names}
    return [without(value, names) for value in document] if isinstance(document, list) else document
