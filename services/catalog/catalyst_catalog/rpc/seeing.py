"""What a caller sees of the catalogue: whose Blueprints, and which of their versions."""

from collections.abc import Iterable, Mapping

from catalyst_mesh import Caller, caller
from catalyst_mesh.calls import ANONYMOUS, RoleDenied, members_of

from ..domain import ranges
from ..domain.refusals import NoMatch, VersionNotFound
from ..domain.universe import Release
from ..store import Picture, Pictures, Viewer
from . import watching

DEVELOPERS = ("org-developer", "org-admin")
"""Who plans with the private Blueprints of an Organization; its viewers look at them."""


class Sight:
    """Pictures of the catalogue, each as the caller may see it."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    async def own(self) -> Mapping[str, Picture]:
        """What the caller sees, by owner: two Organizations may use one name, and somebody may be a member of both."""
        owners = sorted(caller().organizations)
        if len(owners) < 2:
            return dict.fromkeys(["", *owners], await self.of(owners))
        return {owner: await self.of([owner]) for owner in ["", *owners]}

    async def of(self, owners: Iterable[str], *roles: str) -> Picture:
        """What the caller sees, with the private Blueprints of `owners`. Raises RoleDenied for a stranger's.

        roles   one of these is to be held in each of them; a role in another Organization is none here. Default: any
        """
        who, organizations = caller(), frozenset(owners) - {""}
        for org in sorted(organizations):
            if not (who.is_service() or _belongs(who, org, roles)):
                raise RoleDenied(subject=who.subject, resource=f"organizations/{org}")
        return await self._pictures.of(Viewer(organizations, is_known=who != ANONYMOUS))


def _belongs(who: Caller, org: str, roles: tuple[str, ...]) -> bool:
    """Whether the caller is a member in one of `roles`, if any are named. Roles over the Sovereign give no content."""
    held = members_of(who.groups, org)
    return any(role in held for role in roles) if roles else org in who.organizations


def own_heads(pictures: Mapping[str, Picture]) -> list[Release]:
    """One release for each Blueprint of each owner."""
    return [
        head
        for owner, picture in pictures.items()
        for head in picture.universe.heads.values()
        if head.owner_org == owner
    ]


def is_listed(head: Release) -> bool:
    """Lists leave unlisted ones out; daemons, which build plans and wizards from them, see all."""
    return watching.is_shown(head, caller()) and (head.is_offered or head.is_planned)


def released(picture: Picture, name: str) -> list[Release]:
    """Versions, highest first; broken ones for those only who repair them."""
    hidden = frozenset() if watching.sees_broken(caller()) else watching.HIDDEN
    return [o for o in picture.universe.releases(name) if o.version and picture.record(o)[0].state not in hidden]


def version(picture: Picture, name: str, wanted: str) -> Release:
    """The version of exactly this number, or the highest offered one in a range."""
    if ranges.is_version(wanted):
        exact = next((one for one in released(picture, name) if one.version == wanted), None)
        if exact is None:
            raise VersionNotFound(blueprint=name, version=wanted)
        return exact
    matching = picture.universe.matching(name, wanted)
    best = next((one for one in released(picture, name) if one.version in matching and one.is_offered), None)
    if best is None:
        raise NoMatch(blueprint=name, range=wanted)
    return best


def after(found: list[Release], last_seen: str | None) -> list[Release]:
    """Those of a page that comes after a version; None: of the first page."""
    if last_seen is None:
        return found
    last = ranges.version(last_seen)
    return [one for one in found if ranges.version(one.version) < last]
