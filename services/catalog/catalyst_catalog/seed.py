"""Seed data: the families beside the Blueprints, and the storefront's rows."""

import importlib.resources
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from catalyst_mesh import Work, get_logger
from catalyst_sdk import Decision

from .domain import documents, storefront
from .domain.manifest_parts import Tier
from .domain.selection import Family
from .domain.storefront import Stocked
from .store import Store


def families(folder: Path) -> tuple[Family, ...]:
    """The families that `families.yaml` names; none where there is no such file."""
    path = folder / "families.yaml"
    if not path.is_file():
        get_logger("seed").warning("no families", path=str(path))
        return ()
    return tuple(
        Family(
            id=row["id"],
            title=row["title"],
            tier=Tier(row["tier"]),
            cascade_on_member_selection=row["cascade_on_member_selection"],
            depends_on_families=tuple(row["depends_on_families"]),
            domain=row["domain"],
        )
        for row in documents.read(path.read_bytes())["families"]
    )


@cache
def storefront_rows() -> Mapping[str, Any]:
    """The storefront's seed, as it ships with this release; read once."""
    return documents.read((importlib.resources.files(__package__) / "data" / "marketplace.yaml").read_bytes())


async def plant(work: Work[Store]) -> None:
    """Import the storefront's seed where there is nothing yet. Later somebody has to wish it: a start changes no data."""

    async def step(tx: Store) -> None:
        if not await tx.offers(deleted=True):
            decision = await sown(tx, "catalog")
            await tx.save(decision.state)
            tx.emit(*decision.events)

    await work.again(step)


async def sown(tx: Store, by: str) -> Decision[Stocked]:
    """The storefront after an import of this release's seed by `by`."""
    known = {(offer.kind, offer.slug): offer for offer in await tx.offers(deleted=True)}
    latest = await tx.latest_price_book()
    return storefront.import_seed(storefront_rows(), known, latest, tx.now, await tx.revision(), by)
