"""ModerationService: what people decide about versions."""

from collections.abc import Callable
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import Work, caller
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.protos import Context
from catalyst_sdk import Decision

from ..domain import moderation, versions
from ..domain.manifest import Manifest
from ..domain.moderation import Moderated
from ..domain.refusals import BlueprintNotFound, ReplacementUnknown, VersionNotFound
from ..domain.universe import release, resource
from ..domain.versions import Moderation, Version
from ..store import Picture, Pictures, Store, Viewer
from .blueprints import version_message
from .masks import fresh
from .words import STATES, etag, split

ADMINS, OFFICERS = ("sovereign-admin", "org-admin"), ("security-officer",)
Decide = Callable[[Version, Moderation], Decision[Version]]


class ModerationService(service_pb2_grpc.ModerationServiceServicer):
    """Moves of versions. Each takes the next revision of the catalogue, so that watchers hear of it."""

    def __init__(self, work: Work[Store], pictures: Pictures) -> None:
        self._work = work
        self._pictures = pictures

    async def YankVersion(self, request: rpc.YankVersionRequest, context: Context) -> pb.BlueprintVersion:
        return await self._move(request, versions.yank, *ADMINS)

    async def UnyankVersion(self, request: rpc.UnyankVersionRequest, context: Context) -> pb.BlueprintVersion:
        return await self._move(request, versions.unyank, *ADMINS)

    async def DeprecateVersion(self, request: rpc.DeprecateVersionRequest, context: Context) -> pb.BlueprintVersion:
        def decide(version: Version, by: Moderation) -> Decision[Version]:
            if request.undo:
                return versions.restore(version, by)
            return versions.deprecate(version, by, replacement=request.replacement)

        return await self._move(request, decide, *ADMINS, replacement=request.replacement)

    async def QuarantineVersion(self, request: rpc.QuarantineVersionRequest, context: Context) -> pb.BlueprintVersion:
        return await self._move(request, versions.quarantine, *OFFICERS)

    async def ReleaseVersion(self, request: rpc.ReleaseVersionRequest, context: Context) -> pb.BlueprintVersion:
        return await self._move(request, versions.release, *OFFICERS)

    async def _move(self, request: Any, decide: Decide, *roles: str, replacement: str = "") -> pb.BlueprintVersion:
        parent, _, number = request.name.partition("/versions/")
        owner, name = split(parent)
        _demand_role(owner, roles)
        picture = await self._pictures.of(Viewer(frozenset({owner} - {""})))
        if replacement and not _is_known(picture, replacement):
            raise ReplacementUnknown(replacement=replacement)
        uid = ""

        async def step(tx: Store) -> Decision[Moderated]:
            nonlocal uid
            blueprint, siblings = await tx.siblings(owner, name)
            if not siblings:
                raise BlueprintNotFound(blueprint=resource(name, owner))
            found = await tx.version(owner, name, number)
            if found is None or not number:
                raise VersionNotFound(blueprint=name, version=number)
            version, uid = found
            fresh(version.name, version.revision, request.etag)
            revision = await tx.revision()
            by = Moderation(caller().subject, request.reason, tx.now, revision + 1)
            return moderation.follow(decide(version, by), blueprint, siblings, revision)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda moved: _message(picture, moved.version, uid))


def _demand_role(owner: str, roles: tuple[str, ...]) -> None:
    """A role over the Sovereign, or in the Organization whose it is. Raises RoleDenied, whether it exists or not."""
    who = caller()
    held = who.has_role(*roles, org=owner) if owner else bool(who.roles.intersection(roles))
    if not held:
        raise RoleDenied(subject=who.subject, resource=f"organizations/{owner}" if owner else "blueprints")


def _is_known(picture: Picture, replacement: str) -> bool:
    """Whether a replacement is a Blueprint or version that there is."""
    parent, _, number = replacement.partition("/versions/")
    owner, name = split(parent)
    head = picture.universe.heads.get(name)
    if head is None or (head.owner_org, head.resource) != (owner, parent):
        return False
    return not number or any(one.version == number for one in picture.universe.releases(name))


def _message(picture: Picture, version: Version, uid: str) -> pb.BlueprintVersion:
    """The version as it stands; of a private one the Sovereign's own people see the state and no content."""
    if version.owner_org and version.owner_org not in caller().organizations:
        return pb.BlueprintVersion(
            name=version.name,
            uid=uid,
            etag=etag(version.revision),
            version=version.revision,
            semver=version.version,
            state=STATES[version.state],
            state_reason=version.reason,
        )  # fmt: skip - one message
    one = release(
        Manifest.model_validate(version.document),
        digest=version.digest,
        source=f"sources/{version.source}",
        state=version.state,
        owner_org=version.owner_org,
        state_reason=version.reason,
    )
    return version_message(picture, one, version, uid)
