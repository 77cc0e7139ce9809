"""The contracts as their sources say them: descriptors with comments, read once from proto/."""

import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from buf.validate import validate_pb2
from google.api import annotations_pb2, field_behavior_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2 as pb

ROOT = Path(__file__).parents[2]
Field, Message, Method = pb.FieldDescriptorProto, pb.DescriptorProto, pb.MethodDescriptorProto


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method with its request and answer."""

    service: str
    """Full name."""
    method: Method
    request: Message
    answer: Message | None
    """None where the answer is a message of others (Empty, Operation, HttpBody)."""

    @property
    def name(self) -> str:
        return f"{self.service.rsplit('.', 1)[1]}.{self.method.name}"

    @property
    def answers(self) -> str:
        """Full name of the answer's message."""
        return str(self.method.output_type.lstrip("."))

    @property
    def verb(self) -> str:
        """HTTP verb of the main route; empty where there is none."""
        return str(self.method.options.Extensions[annotations_pb2.http].WhichOneof("pattern") or "")

    @property
    def path(self) -> str:
        return str(getattr(self.method.options.Extensions[annotations_pb2.http], self.verb)) if self.verb else ""

    @property
    def body(self) -> str:
        return str(self.method.options.Extensions[annotations_pb2.http].body)

    @property
    def promised(self) -> tuple[str, str]:
        """What the Operation will answer, and what it tells on the way."""
        info = self.method.options.Extensions[operations_pb2.operation_info]
        return info.response_type, info.metadata_type

    def standard(self, verb: str) -> str:
        """`GetZone` asked for `Get`: `Zone`; empty where the method is none of that sort."""
        rest = str(self.method.name.removeprefix(verb))
        return rest if rest != self.method.name and rest[:1].isupper() else ""

    def field(self, name: str) -> Field | None:
        return next((f for f in self.request.field if f.name == name), None)


@cache
def files() -> list[pb.FileDescriptorProto]:
    """Our own files, comments included."""
    buf = Path(sysconfig.get_path("scripts")) / "buf"
    image = subprocess.run([buf, "build", "proto", "-o", "-"], cwd=ROOT, check=True, capture_output=True).stdout
    return [f for f in pb.FileDescriptorSet.FromString(image).file if f.package.startswith("catalyst.")]


@cache
def messages() -> Mapping[str, Message]:
    """Every message of ours by full name, the entries of maps left out."""
    return {name: message for file in files() for name, message in _within(file.package, file.message_type)}


def _within(prefix: str, found: object) -> Iterator[tuple[str, Message]]:
    for message in found:  # type: ignore[attr-defined]  # protobuf's own container
        if not message.options.map_entry:
            yield f"{prefix}.{message.name}", message
            yield from _within(f"{prefix}.{message.name}", message.nested_type)


@cache
def rpcs() -> list[Rpc]:
    """Every method of every service."""
    known = messages()
    return [
        Rpc(f"{file.package}.{service.name}", m, known[m.input_type.lstrip(".")], known.get(m.output_type.lstrip(".")))
        for file in files()
        for service in file.service
        for m in service.method
    ]  # fmt: skip - one comprehension


@cache
def asked() -> frozenset[str]:
    """Names of the messages that a caller sends, those inside them included."""
    found: set[str] = set()
    waiting = [rpc.method.input_type.lstrip(".") for rpc in rpcs()]
    while waiting:
        name = waiting.pop()
        if name in messages() and name not in found:
            found.add(name)
            waiting += [f.type_name.lstrip(".") for f in messages()[name].field if f.type == Field.TYPE_MESSAGE]
    return frozenset(found)


def behaviours(field: Field) -> frozenset[str]:
    """REQUIRED, OPTIONAL, OUTPUT_ONLY, …"""
    marks = field.options.Extensions[field_behavior_pb2.field_behavior]
    return frozenset(field_behavior_pb2.FieldBehavior.Name(mark) for mark in marks)


def rules(field: Field) -> validate_pb2.FieldRules:
    """What the chassis checks before the method is entered."""
    return field.options.Extensions[validate_pb2.field]


def comments(*ends: str) -> Iterator[tuple[str, str]]:
    """What is said of each service, method, message, field, enum and value, in one line each; empty where nothing is.

    ends   of the names of files that are read; none: all
    """
    for file in files():
        if ends and not file.name.endswith(ends):
            continue
        said = {tuple(place.path): " ".join(place.leading_comments.split()) for place in file.source_code_info.location}
        yield from ((f"{file.package}.{name}", said.get(path, "")) for path, name in _places(file))


def said_of_methods() -> Iterator[tuple[str, str]]:
    """Full name of each method, and its comment."""
    methods = {f"{rpc.service}.{rpc.method.name}" for rpc in rpcs()}
    return ((name, comment) for name, comment in comments("service.proto") if name in methods)


def without_comment() -> Iterator[str]:
    """Every service, method, message, field, enum and value that has no sentence."""
    return (name for name, comment in comments() if not comment)


def _places(file: pb.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for n, service in enumerate(file.service):
        yield (6, n), service.name
        yield from (((6, n, 2, k), f"{service.name}.{m.name}") for k, m in enumerate(service.method))
    for n, message in enumerate(file.message_type):
        yield from _places_in(message, (4, n), message.name)
    for n, kind in enumerate(file.enum_type):
        yield from _places_of(kind, (5, n), kind.name)


def _places_in(message: Message, at: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    if message.options.map_entry:
        return
    yield at, name
    yield from (((*at, 2, n), f"{name}.{f.name}") for n, f in enumerate(message.field))
    for n, inner in enumerate(message.nested_type):
        yield from _places_in(inner, (*at, 3, n), f"{name}.{inner.name}")
    for n, kind in enumerate(message.enum_type):
        yield from _places_of(kind, (*at, 4, n), f"{name}.{kind.name}")


def _places_of(kind: pb.EnumDescriptorProto, at: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    yield at, name
    yield from (((*at, 2, n), f"{name}.{v.name}") for n, v in enumerate(kind.value))
