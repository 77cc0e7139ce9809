"""Seed data: the families beside the Blueprints, and the storefront's rows."""

import importlib.resources
from pathlib import Path
from typing import Any

from catalyst_mesh import Work, get_logger

from .domain import documents, storefront
from .domain.manifest_parts import Tier
from .domain.selection import Family
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


def storefront_rows() -> dict[str, Any]:
    """The storefront's seed, as it ships with this release."""
    return documents.read((importlib.resources.files(__package__) / "data" / "marketplace.yaml").read_bytes())


async def plant(work: Work[Store], seed: dict[str, Any]) -> None:
    """Import the storefront's seed; a second time, and after edits, nothing is changed back."""

    async def step(tx: Store) -> None:
        known = {(offer.kind, offer.slug): offer for offer in await tx.offers(deleted=True)}
        decision = storefront.import_seed(seed, known, await tx.latest_price_book(), tx.now, await tx.revision())
        if decision.events:
            await tx.save(decision.state)
            tx.emit(*decision.events)

    await work.again(step)
