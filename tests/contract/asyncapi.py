"""The mesh's events as AsyncAPI 3, made from the contracts; `python -m tests.contract.asyncapi` writes the file anew."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from catalyst_gateway.schemas import Schemas
from catalyst_mesh.bus import DEAD_LETTERS, DEAD_LETTERS_KEPT, DUPLICATE_WINDOW, KEPT, WORKSPACES
from catalyst_mesh.facts import stream_of
from google.protobuf import descriptor_pool

from . import contracts
from .contracts import ROOT

PAGE = ROOT / "docs" / "reference" / "asyncapi.json"
_SUBJECT = re.compile(r"`(catalyst\.v1\.[a-z_.]+)`")
_HEADERS = {
    "ce-id": "Id of the event; the same when it is sent again.",
    "ce-type": "Its subject.",
    "ce-source": "The daemon that tells it.",
    "ce-subject": "Resource name of the aggregate.",
    "ce-time": "When it happened, RFC 3339.",
    "ce-specversion": "1.0",
    "ce-datacontenttype": "application/protobuf",
    "ce-dataschema": "Full name of the message.",
    "ce-number": "Its number in the outbox of its daemon; rises with each event of an aggregate.",
    "ce-previous": "Numbers of the last earlier events of the aggregate, by type: what a consumer may have missed.",
    "traceparent": "W3C Trace Context of what caused it.",
}
_RUNTIME = {
    "ws.{environment}.k8s.{kind}.{namespace}.{name}": "An object of a vcluster, as its API server shows it.",
    "ws.{environment}.flux.{kustomization}": "What Flux says of a Kustomization or HelmRelease.",
    "ws.{environment}.git.{commit}": "A commit of an Application's repository.",
    "ws.{environment}.crossplane.{resource}": "A resource of Crossplane.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One type of event."""

    subject: str
    message: str
    """Full name."""
    comment: str

    @property
    def service(self) -> str:
        return self.subject.split(".")[2]


def events() -> Iterator[Told]:
    """Every type of event that a contract has; the comment of its message names its subject."""
    for file in contracts.files():
        if file.name.endswith("/events.proto"):
            said = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
            for n, message in enumerate(file.message_type):
                comment = said.get((4, n), "")
                for subject in _SUBJECT.findall(comment):
                    yield Told(subject, f"{file.package}.{message.name}", " ".join(_SUBJECT.sub("", comment).split()))


def document() -> dict[str, Any]:
    """The file as it should stand."""
    headers = {name: {"type": "string", "description": what} for name, what in _HEADERS.items()}
    schemas = Schemas(dict(contracts.comments()), {"headers": {"type": "object", "properties": headers}})
    told = sorted(events(), key=lambda one: one.subject)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Catalyst",
            "version": "0.1.0",
            "description": "What daemons tell each other over NATS JetStream: CloudEvents 1.0, binary mode, bodies in protobuf. "
            "Payloads are shown in the JSON form of their contracts, as `/v1/stream` tells them.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/protobuf",
        "channels": {**{one.subject: _channel(one) for one in told}, **dict(_others())},
        "operations": {f"tell.{one.subject}": _operation(one.subject, one.service) for one in told},
        "components": {
            "messages": {one.message: _message(one, schemas) for one in told},
            "schemas": dict(sorted(schemas.found.items())),
        },
    }


def _channel(one: Told) -> dict[str, Any]:
    name = one.message.rpartition(".")[2]
    return {
        "address": one.subject,
        "description": one.comment,
        "messages": {name: {"$ref": f"#/components/messages/{one.message}"}},
        "x-stream": _stream(stream_of(one.service), KEPT.days),
        "x-consumer": f"<daemon>-from-{one.service}, durable, pull, explicit acknowledgement",
    }


def _stream(name: str, days: int) -> dict[str, Any]:
    return {"name": name, "maxAgeDays": days, "duplicateWindowSeconds": int(DUPLICATE_WINDOW.total_seconds())}


def _others() -> Iterator[tuple[str, dict[str, Any]]]:
    """Channels whose messages stand in no contract."""
    thing = {"contentType": "application/json", "payload": {"type": "object"}}
    for address, description in _RUNTIME.items():
        yield (
            address,
            {
                "address": address,
                "description": description,
                "parameters": {word: {} for word in re.findall(r"\{(\w+)\}", address)},
                "messages": {"thing": thing},
                "x-stream": _stream(WORKSPACES, KEPT.days),
                "x-copy": "bucket ws-<environment>-state, key <kind>/<name>",
            },
        )
    address = "catalyst.dlq.{consumer}"
    yield (
        address,
        {
            "address": address,
            "description": "An event that a consumer gave up, with its own headers and what happened in `catalyst-…`.",
            "parameters": {"consumer": {}},
            "messages": {"letter": {"contentType": "application/protobuf"}},
            "x-stream": _stream(DEAD_LETTERS, DEAD_LETTERS_KEPT.days),
        },
    )


def _operation(subject: str, service: str) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/{subject}"}, "x-daemon": service}


def _message(one: Told, schemas: Schemas) -> dict[str, Any]:
    import_module(f"{one.message.rpartition('.')[0]}.events_pb2")
    kind = descriptor_pool.Default().FindMessageTypeByName(one.message)
    return {
        "name": one.message,
        "summary": one.comment,
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": schemas.of(kind),
    }


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
