"""The gateway in front of the mesh, as people and programs reach it."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema_rs
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_mesh import Work
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import folder, free_port

from .mesh import Mesh


@dataclass(frozen=True)
class Edge:
    """The gateway in front of the mesh."""

    url: str
    headers: Mapping[str, str]
    work: Work[Any]
    """On its read model."""
    document: Mapping[str, Any]
    """The description, made strict."""
    problem: Any
    """Validator of problems."""

    def operations(self) -> Iterator[tuple[str, Any]]:
        """Every operation but the streams, which never end."""
        import schemathesis  # a second that tests which draw nothing need not wait

        schema = schemathesis.openapi.from_dict(dict(self.document))
        for found in schema.get_all_operations():
            one = found.ok()
            answers = one.definition.raw["responses"].values()
            if not any("text/event-stream" in answer["content"] for answer in answers):
                yield f"{one.method.upper()} {one.path}", one


def strict(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as it is kept, where a client reads it with more patience: no field but those that it names."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for shape in copy["components"]["schemas"].values():
        shape.setdefault("additionalProperties", False)
    del copy["security"], copy["components"]["securitySchemes"]  # who asks is not what is made up here
    return copy


@asynccontextmanager
async def edge_of(around: Mesh) -> AsyncIterator[Edge]:
    """It, over the daemons that there are."""
    home, port = folder(), free_port()
    (home / "issuer").symlink_to(around.home / "issuer")
    url = f"http://127.0.0.1:{port}"
    targets = {
        f"{'pdm' if name == 'pooldomain' else name}_target": daemon.target for name, daemon in around.daemons.items()
    }
    values = {
        "http_listen": f"127.0.0.1:{port}",
        "nats_url": around.nats.url,
        "identity_per_minute": 1_000_000,
        "address_per_minute": 1_000_000,
        **targets,
    }
    address = f"sqlite+aiosqlite:///{home}/gateway.db"
    async with running(compose, GatewaySettings, home, service="gateway", database_url=address, **values) as gateway:
        headers = {"authorization": f"Bearer {around.token()}"}

        async def described() -> Any:
            try:
                async with httpx.AsyncClient(base_url=url) as http:
                    return (await http.get("/v1/openapi.json")).json()
            except httpx.TransportError:
                return None

        document = strict(await eventually(described, within=60))
        problem = validator(document, {"$ref": "#/components/schemas/Problem"})
        yield Edge(url, headers, gateway.daemon.work, document, problem)
    shutil.rmtree(home, ignore_errors=True)


def validator(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A validator of what `schema` says, whose references stand in `document`."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
