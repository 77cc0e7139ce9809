"""What happens to the catalogue, as a stream: the record of changes, its revisions the places in it.

Invariants
  nothing skipped  a revision is given to one change, in the transaction that makes it, one after the other: whoever goes on
                   behind a revision misses nothing and hears nothing twice;
  own only         a change is told to whoever may read what it is about, as it is when it is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_mesh import Caller, Work

from ..domain.changes import Change, Kind
from ..domain.universe import Release, State
from ..store import Picture, Pictures, Store, Viewer
from .blueprints import to_card
from .words import STATES

BATCH = 200
HIDDEN = frozenset({State.QUARANTINED, State.PENDING, State.REJECTED})
"""States of versions that those who do not repair them never see."""


async def changes(
    work: Work[Store], pictures: Pictures, who: Caller, after: int, count: Callable[[Picture], int]
) -> AsyncIterator[rpc.WatchCatalogResponse]:
    """Changes after revision `after`, then as they happen; 0: from now on, behind a snapshot. Ends never.

    count   how many Blueprints of a picture are the caller's to see
    """
    async with work.reading() as tx:
        newest, oldest = await tx.revision(), await tx.oldest_change()
    reason = "WIPED" if after > newest else "GAP" if 0 < after < newest and not 0 < oldest <= after + 1 else ""
    if reason:
        yield rpc.WatchCatalogResponse(revision=newest, reset=rpc.CatalogReset(reason=reason))
    place = newest if reason or not after else after
    if place == newest and (reason or not after):
        picture = await pictures.of(Viewer(who.organizations))
        yield rpc.WatchCatalogResponse(
            revision=newest, snapshot=rpc.CatalogSnapshot(blueprint_count=count(picture))
        )  # fmt: skip - one message
    never = asyncio.Event()
    with work.bell.listening("catalogue") as rung:
        while True:
            rung.clear()
            async with work.reading() as tx:
                rows = await tx.changes(place, BATCH)
            for row in rows:
                place = row.revision
                if told := await _told(pictures, who, row):
                    yield rpc.WatchCatalogResponse(revision=row.revision, change=told)
            if not rows:
                await work.bell.wait(never, rung)


async def _told(pictures: Pictures, who: Caller, change: Change) -> rpc.CatalogChange | None:
    """A change as the caller hears of it; None where it is nothing to the caller."""
    if change.kind is Kind.OFFER or change.kind is Kind.PRICE_BOOK:
        kind = rpc.CatalogChange.KIND_OFFER if change.kind is Kind.OFFER else rpc.CatalogChange.KIND_PRICE_BOOK
        return (
            _removed(change) if not change.row else rpc.CatalogChange(kind=kind, name=change.name, version=change.row)
        )
    owner = change.owner_org
    if owner and not (who.is_service() or owner in who.organizations):
        return None
    picture = await pictures.of(Viewer(frozenset({owner} - {""})))
    head = picture.universe.heads.get(change.blueprint)
    is_met = head is not None and head.owner_org == owner and is_shown(head, who)
    if change.kind is Kind.BLUEPRINT:
        return _blueprint(picture, change, head if is_met else None, who)
    if not is_met:
        return None
    if State(change.state) in HIDDEN and not sees_broken(who):
        return _removed(change)
    return rpc.CatalogChange(
        kind=rpc.CatalogChange.KIND_VERSION, name=change.name, version=change.row, state=STATES[State(change.state)]
    )


def _blueprint(picture: Picture, change: Change, head: Release | None, who: Caller) -> rpc.CatalogChange | None:
    if head is not None and (head.is_offered or head.is_planned):
        card: pb.Card = to_card(picture, head)
        return rpc.CatalogChange(
            kind=rpc.CatalogChange.KIND_BLUEPRINT, name=change.name, version=change.row, card=card
        )  # fmt: skip - one message
    was_shown = change.before == "listed" or (bool(change.before) and (bool(change.owner_org) or sees_all(who)))
    return _removed(change) if was_shown else None


def _removed(change: Change) -> rpc.CatalogChange:
    return rpc.CatalogChange(kind=rpc.CatalogChange.KIND_REMOVED, name=change.name)


def is_shown(head: Release, who: Caller) -> bool:
    """Whether a Blueprint that the caller may read stands in its lists; daemons build wizards from what is unlisted too."""
    return head.manifest.spec.visibility.value == "listed" or bool(head.owner_org) or sees_all(who)


def sees_all(who: Caller) -> bool:
    """Whether lists show the caller what is unlisted."""
    return who.is_service() or who.has_role("sovereign-admin")


def sees_broken(who: Caller) -> bool:
    """Whether the caller repairs what is broken."""
    return who.is_service() or who.has_role("sovereign-admin", "security-officer")
