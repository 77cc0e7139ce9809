"""Events of all daemons as webhooks tell them: CloudEvents 1.0 in JSON, and whose business each is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from catalyst.billing.v1 import events_pb2 as _billing
from catalyst.catalog.v1 import events_pb2 as _catalog
from catalyst.continuum.v1 import events_pb2 as _continuum
from catalyst.environment.v1 import events_pb2 as _environment
from catalyst.pooldomain.v1 import events_pb2 as _pooldomain
from catalyst.provisioner.v1 import events_pb2 as _provisioner
from catalyst_mesh import Caller
from catalyst_mesh.envelopes import body_of, told_of
from catalyst_mesh.facts import aggregate_of, service_of, version_of
from catalyst_mesh.readers import Reader, whose
from google.protobuf import json_format
from nats.aio.msg import Msg

SCHEMAS = (_billing, _catalog, _continuum, _environment, _pooldomain, _provisioner)
"""Contracts whose events can be read here; importing them makes their messages known by name."""
SERVICES = ("catalog", "provisioner", "pooldomain", "continuum", "billing", "environment")
TEST = "catalyst.test"
"""Type of what is sent to try an address."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `owner` as `readers.whose` says it."""

    id: str
    type: str
    time: datetime
    owner: str
    body: str


def read(message: Msg) -> Event | None:
    """What a message tells; None where its schema is unknown here, as that of a newer release is."""
    body = body_of(message)
    if body is None:
        return None
    told, data, aggregate = told_of(message), json.loads(json_format.MessageToJson(body)), aggregate_of(body)
    source = f"/catalyst/{service_of(told.subject)}"
    return Event(
        told.event_id,
        told.subject,
        told.time,
        whose(told.subject, aggregate, data),
        cloud_event(told.event_id, told.subject, source, aggregate, told.time, data, version_of(body)),
    )


def cloud_event(
    id: str, type: str, source: str, subject: str, time: datetime, data: Mapping[str, Any], version: int
) -> str:
    """An event in CloudEvents' JSON format (section 3); `version` is of what the event is about."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "type": type,
            "source": source,
            "subject": subject,
            "time": time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "version": version,
            "data": data,
        },
        separators=(",", ":"),
    )


@cache
def reader_of(org: str) -> Reader:
    """What an Organization may be told: as much as its admins."""
    return Reader.of(Caller(f"organizations/{org}", groups=frozenset({f"/{org}/org-admin"})))
