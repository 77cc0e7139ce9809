"""The catalog as this daemon sees it: plans of installations, and ways to other versions.

Asked in the daemon's own right, since what stands in an Environment is told by those who keep it; whose Environment that is,
and whose private Blueprint, was asked before.
"""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

import grpc
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1.service_pb2_grpc import CatalogServiceStub, StorefrontServiceStub
from catalyst_mesh import Explained, explain
from catalyst_sdk import Code, Refused
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from .domain.applications import Application, Pin, Wanted

T = TypeVar("T")
_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "UNKNOWN"}
_CODES = {code.name: code for code in Code}


class CatalogUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "CATALOG_UNAVAILABLE", "the catalog does not answer: {why}"


class CatalogRefused(Refused):
    """The catalog said no; its reason, sentence and metadata pass on as they are."""

    reason, message = "CATALOG_REFUSED", "{sentence}"

    def __init__(self, said: Explained) -> None:
        super().__init__(violations=said.violations, sentence=said.message)
        self.metadata |= {key: value for key, value in said.metadata.items() if key != "sentence"}
        self.code = _CODES.get(said.code, Code.FAILED_PRECONDITION)  # type: ignore[misc]  # the class says what is usual
        self.reason = said.reason or self.reason  # type: ignore[misc]  # as above


class Catalog:
    """Plans and advice."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CatalogServiceStub(channel)
        self._store = StorefrontServiceStub(channel)

    async def app(self, slug: str) -> tuple[str, str]:
        """Blueprint behind an app of the storefront, and its newest version. Raises CatalogRefused, CatalogUnavailable."""
        blueprint = (await _asked(self._store.GetApp(rpc.GetAppRequest(name=f"apps/{slug}")))).blueprint
        found = await _asked(self._stub.GetBlueprint(rpc.GetBlueprintRequest(name=blueprint)))
        return blueprint, found.latest_version.rpartition("/")[2]

    async def plan(
        self, environment: str, id: str, blueprint: str, version: str, config: Mapping[str, Any],
        choices: Mapping[str, str], standing: Iterable[Application], *, limits: str, digest: str = "",
    ) -> list[Wanted]:  # fmt: skip
        """What is to be made, the root last. Raises CatalogRefused, CatalogUnavailable.

        limits   plan of the Organization, `plans/{slug}`, whose limits count; empty: none do
        """
        request = rpc.PlanInstallRequest(
            blueprint=blueprint,
            version=version,
            environment=environment,
            application=id,
            choices=choices,
            config=ParseDict(dict(config), Struct()),
            installed=map(_installed, standing),
            expected_digest=digest,
            plan=limits,
        )  # fmt: skip - one request
        return _wanted(await _asked(self._stub.PlanInstall(request)))

    async def way(self, environment: str, held: Application, standing: Iterable[Application]) -> tuple[str, ...]:
        """Versions on the way that the catalog advises, the last one that can be reached at the end."""
        request = rpc.AdviseUpgradesRequest(
            parent=environment, application=held.id, installed=map(_installed, standing)
        )
        advices = (await _asked(self._stub.AdviseUpgrades(request))).advices
        return tuple(advices[0].path) if advices else ()


def _installed(one: Application) -> pb.Installed:
    return pb.Installed(name=one.blueprint, version=one.pin.release, application=one.id)


def _wanted(plan: pb.InstallPlan) -> list[Wanted]:
    manifests = {file.path.split("/")[3]: file.content for file in plan.files}
    uses: dict[str, set[str]] = {}
    for edge in plan.flux_edges:
        uses.setdefault(edge.application, set()).add(edge.depends_on)
    aliases: dict[str, dict[str, str]] = {}
    root = plan.applications[-1].name
    for link in plan.reuse_links:
        uses.setdefault(link.parent, set()).add(link.application)
        aliases.setdefault(link.parent, {})[link.alias] = link.application
    for one in plan.applications:
        if one.alias:
            aliases.setdefault(root, {})[one.alias] = one.name
    return [
        Wanted(
            id=one.name,
            blueprint=one.blueprint,
            pin=Pin(one.version, one.digest, MessageToDict(one.config), manifests[one.name]),
            uses=tuple(sorted(uses.get(one.name, ()))),
            aliases=aliases.get(one.name, {}),
            is_backing=bool(one.alias),
        )
        for one in plan.applications
    ]


async def _asked(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        said = explain(error)
        if said.code in _PASSING:
            raise CatalogUnavailable(why=said.message or said.code) from error
        raise CatalogRefused(said) from error
