"""Pictures of the catalogue: everything that one viewer may see at one revision, indexed for questions.

A question costs one look at the revision. After a change what is public is read anew where it changed, and the picture of
whoever has private Blueprints is that with its own: viewers share all the rest, so a picture is small and soon made.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from catalyst_mesh import Work

from ..domain.manifest import Manifest
from ..domain.refusals import BlueprintNotFound
from ..domain.selection import Components, Family
from ..domain.universe import Release, State, Universe, release
from ..domain.versions import Version
from .rows import Row
from .store import Store
from .viewers import Viewer

MOST_PICTURES = 64
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Picture:
    """What one viewer sees at one revision."""

    revision: int
    early: frozenset[str]
    """Sources whose pre-releases count as any other version."""
    universe: Universe
    versions: dict[_Key, tuple[Version, str]]
    """Record and uid of each version, by owner, name and version; without its document."""
    rows: dict[tuple[str, str], Row]
    """Rows of Blueprints by owner and name."""
    families: tuple[Family, ...]

    @cached_property
    def components(self) -> Components:
        """For questions about selections."""
        return Components(self.universe, self.families)

    def head(self, owner: str, name: str) -> Release:
        """The release that stands for a Blueprint. Raises BlueprintNotFound, the same for invisible and unknown."""
        head = self.universe.heads.get(name)
        if head is None or head.owner_org != owner:
            raise BlueprintNotFound(
                blueprint=f"organizations/{owner}/blueprints/{name}" if owner else f"blueprints/{name}"
            )
        return head

    def record(self, one: Release) -> tuple[Version, str]:
        """Record and uid of a release."""
        return self.versions[one.owner_org, one.name, one.version]


class Pictures:
    """The newest pictures, by viewer."""

    def __init__(self, work: Work[Store], families: Iterable[Family]) -> None:
        self._work = work
        self._families = tuple(families)
        self._made: OrderedDict[Viewer, Picture] = OrderedDict()
        self._public: dict[Viewer, Picture] = {}
        """What those see who have nothing private, whether signed in or not."""
        self._manifests: dict[_Key, tuple[int, Manifest]] = {}

    async def of(self, viewer: Viewer) -> Picture:
        """What `viewer` sees now."""
        async with self._work.reading() as tx:
            now = await tx.state()
            known = self._made.get(viewer)
            if known is None or (known.revision, known.early) != now:
                known = await self._drawn(tx, viewer, *now)
        self._made[viewer] = known
        self._made.move_to_end(viewer)
        while len(self._made) > MOST_PICTURES:
            self._made.popitem(last=False)
        return known

    async def _drawn(self, tx: Store, viewer: Viewer, revision: int, early: frozenset[str]) -> Picture:
        public = Viewer(is_known=viewer.is_known)
        before = self._public.get(public)
        changed = await tx.changed_since(before.revision) if before and before.early == early else None
        if before is None or changed is None:
            blank = Picture(revision, early, Universe(()), {}, {}, self._families)
            before = await self._redrawn(tx, blank, public, None, revision)
        elif before.revision < revision:
            before = await self._redrawn(tx, before, public, changed, revision)
        self._public[public] = before
        if not viewer.organizations:
            return before
        return await self._redrawn(tx, before, viewer, await tx.names_of(viewer.organizations), revision)

    async def _redrawn(
        self, tx: Store, before: Picture, viewer: Viewer, names: frozenset[str] | None, revision: int
    ) -> Picture:
        """A picture of what is public with `names` as `viewer` sees them now; None: all of them."""
        if names is not None and not names and before.revision == revision:
            return before
        rows: dict[tuple[str, str], Row] = {(b["owner_org"], b["name"]): b for b in await tx.blueprints(viewer, names)}
        owners = _owners(rows)
        versions: dict[_Key, tuple[Version, str]] = {}
        releases = []
        for version, uid in await tx.versions(viewer, names):
            row = rows.get((version.owner_org, version.blueprint))
            if row is not None and owners[version.blueprint] == version.owner_org:
                key = version.owner_org, version.blueprint, version.version
                releases.append(self._release(key, version, row, before.early))
                # The manifest holds what the document says; keeping both would double the picture.
                versions[key] = replace(version, document={}), uid
        if names is None:
            return Picture(revision, before.early, Universe(releases, revision), versions, rows, self._families)
        kept = {key: row for key, row in before.rows.items() if key[1] not in names}
        left = {key: record for key, record in before.versions.items() if key[1] not in names}
        universe = before.universe.replaced(names, releases, revision)
        return Picture(revision, before.early, universe, {**left, **versions}, {**kept, **rows}, self._families)

    def _release(self, key: _Key, version: Version, row: Row, early: frozenset[str]) -> Release:
        revision, manifest = self._manifests.get(key, (0, None))
        if manifest is None or revision != version.revision:
            manifest = Manifest.model_validate(version.document)
            self._manifests[key] = version.revision, manifest
        # To new installs an orphan is like a withdrawn version: kept by locks, offered to nobody.
        is_orphan = row["orphaned_at"] is not None and version.state in {State.VERIFIED, State.DEPRECATED}
        return release(
            manifest,
            digest=version.digest,
            source=f"sources/{version.source}",
            state=State.YANKED if is_orphan else version.state,
            owner_org=version.owner_org,
            state_reason=version.reason,
            counts_early=version.source in early,
        )


def _owners(rows: dict[tuple[str, str], Any]) -> dict[str, str]:
    """Whom each name belongs to: of several claims the lowest priority wins, so nobody's private one hides a public one."""
    claims: dict[str, tuple[int, str]] = {}
    for (owner, name), row in rows.items():
        claim = int(row["priority"]), owner
        claims[name] = min(claims.get(name, claim), claim)
    return {name: owner for name, (_, owner) in claims.items()}
