"""Locks and closures as messages, and the wishes that lead to them."""

from collections.abc import Iterable, Mapping
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_mesh.protos import span
from catalyst_sdk import Violation
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from ..domain import config_schema
from ..domain.closure import Closure
from ..domain.locks import LOCK_VERSION, Entry, Lock
from ..domain.manifest_parts import Requests
from ..domain.provider import Policy, Root
from ..domain.refusals import CapabilityMissing, ConfigInvalid, LockInvalid
from ..domain.universe import State
from ..store import Picture
from .blueprints import named
from .words import TIERS, split


def to_roots(demands: Iterable[pb.Demand]) -> tuple[Root, ...]:
    """What is asked for. Refuses what this catalogue does not serve yet."""
    roots = []
    for demand in demands:
        if demand.dedicated:
            raise CapabilityMissing(capability="dedicated dependencies")
        config = plain(demand.config)
        roots.append(Root(split(demand.name)[1], demand.range or "*", config, demand.application))
    return tuple(roots)


def to_policy(request: rpc.ResolveRequest) -> Policy:
    """What the caller allows. Raises LockInvalid."""
    if request.HasField("lock") and request.lock.lock_version != LOCK_VERSION:
        raise LockInvalid(why=f"lock_version {request.lock.lock_version}, known is {LOCK_VERSION}")
    locked = {split(entry.name)[1]: entry.version for entry in request.lock.entries}
    installed = {split(one.name)[1]: one.version for one in request.installed}
    held = {split(one.name)[1] for one in request.installed if one.locked}
    return Policy(
        installed={**locked, **installed},
        locked=frozenset(locked.keys() | held),
        update=frozenset(split(name)[1] for name in request.update),
        allow_downgrade=request.policy.allow_downgrade,
        allow_early=request.policy.allow_prereleases,
        environment=plain(request.environment),
    )


def check_configs(lock: Lock) -> None:
    """Whether what was configured fits the versions that were chosen. Raises ConfigInvalid with every violation."""
    chosen = {entry.release.name: entry.release for entry in lock.entries}
    wrong: list[Violation] = []
    for root in lock.roots:
        if root.config:
            try:
                config_schema.normalise(chosen[root.name].manifest.spec.config_schema, root.config)
            except ConfigInvalid as refusal:
                wrong += [Violation(f"{root.name}{v.field}", v.description, v.rule) for v in refusal.violations]
    if wrong:
        raise ConfigInvalid(tuple(wrong))


def to_lock(picture: Picture, lock: Lock) -> pb.Lock:
    """A lock with what an installer needs to know of each entry."""
    moves = {move.name: move.is_downgrade for move in lock.moves}
    return pb.Lock(
        lock_version=LOCK_VERSION,
        catalog_revision=lock.catalog_revision,
        roots=[pb.Demand(name=named(picture, root.name), range=root.range) for root in lock.roots],
        entries=[entry_message(picture, entry, moves.get(entry.release.name)) for entry in lock.entries],
        lock_digest=lock.digest,
    )


def warnings_of(lock: Lock) -> list[pb.PlanWarning]:
    """What deserves a look."""
    return [
        pb.PlanWarning(
            reason=entry.release.state.name,
            message=f"{entry.release.name} {entry.release.version} is {entry.release.state.name.lower()}",
            subject=entry.release.resource,
        )
        for entry in lock.entries
        if entry.release.state in {State.DEPRECATED, State.YANKED}
    ]


def to_closure(picture: Picture, found: Closure) -> rpc.ClosureResponse:
    """Nodes by wave and name; what is needed but unknown comes last."""
    wave = {name: number for number, names in enumerate(found.waves) for name in names}
    nodes = [
        pb.GraphNode(name=n.resource, version=n.version, wave=wave[n.name], missing=not n.is_offered)
        for n in sorted(found.nodes, key=lambda n: (wave[n.name], n.name))
    ]
    nodes += [pb.GraphNode(name=named(picture, name), missing=True) for name in found.unknown]
    return rpc.ClosureResponse(
        nodes=nodes,
        edges=[
            pb.GraphEdge(
                **{"from": named(picture, link.parent)},
                to=named(picture, link.child),
                range=link.range,
                alias=link.alias,
                when=link.when,
            )
            for link in found.links
        ],
        catalog_revision=picture.revision,
    )


def plain(message: Struct) -> dict[str, Any]:
    """A Struct as plain values; whole numbers are integers again, which JSON numbers do not tell apart."""
    document: dict[str, Any] = _whole(MessageToDict(message))
    return document


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def entry_message(picture: Picture, entry: Entry, is_downgrade: bool | None = None) -> pb.LockEntry:
    """One entry of a lock."""
    release = entry.release
    parents = [(name, alias) for name, alias in entry.parents if name]
    is_root = len(parents) < len(entry.parents)
    return pb.LockEntry(
        name=release.resource,
        version=release.version,
        digest=release.digest,
        source=release.source,
        parents=[named(picture, name) for name, _ in parents],
        alias="" if is_root or not parents else parents[0][1],
        config_hash=entry.config_hash,
        change=_change(entry, is_downgrade),
        wave=entry.wave,
        needs=[named(picture, name) for name in entry.needs],
        namespace=release.namespace,
        install_timeout=span(release.install_timeout),
        family=release.family,
        tier=TIERS[picture.components.tier(release.name)],
        provides=release.manifest.spec.provides,
        required_kinds=release.manifest.spec.requires_kinds,
        requests=_requests(release.manifest.spec.requests),
    )


def _requests(told: Requests | None) -> pb.Resources | None:
    if told is None:
        return None
    return pb.Resources(cpu_milli=told.cpu_milli, ram_mb=told.ram_mb, disk_gb=told.disk_gb)


def _change(entry: Entry, is_downgrade: bool | None) -> "pb.LockEntry.Change.ValueType":
    if is_downgrade is not None:
        return pb.LockEntry.CHANGE_DOWNGRADED if is_downgrade else pb.LockEntry.CHANGE_UPGRADED
    return pb.LockEntry.CHANGE_UNSPECIFIED if entry.is_installed else pb.LockEntry.CHANGE_ADDED
