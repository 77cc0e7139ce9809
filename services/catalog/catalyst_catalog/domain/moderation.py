"""What follows from a decision about a version: the Blueprint's newest version, and what watchers are told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from catalyst_sdk import Decision

from .changes import Change, Kind
from .ranges import newest_first
from .sources import Blueprint, BlueprintUpdated
from .universe import OFFERED
from .versions import Version


@dataclass(frozen=True, slots=True)
class Moderated:
    """Rows to write. `catalog_revision` is the one before; without `changes` nothing was decided."""

    version: Version
    catalog_revision: int
    changes: tuple[Change, ...] = ()
    blueprint: Blueprint | None = None
    """Where its newest version is another one now."""


def follow(
    decided: Decision[Version], blueprint: Blueprint | None, siblings: Iterable[Version], catalog_revision: int
) -> Decision[Moderated]:
    """The whole of what a decided version changes.

    blueprint         the version's; None where none was published under that name
    siblings          every version of it, as they were before
    catalog_revision  of the catalogue before
    """
    version = decided.state
    if not decided.events:
        return Decision(Moderated(version, catalog_revision))
    owner, state = version.owner_org, version.state.value
    changes = [Change(catalog_revision + 1, Kind.VERSION, version.name, owner, version.revision, state)]
    facts = decided.events
    if blueprint is not None and (newest := _newest(version, siblings)) != blueprint.newest:
        blueprint = replace(blueprint, newest=newest, revision=blueprint.revision + 1)
        shown = blueprint.visibility.value
        changes.append(
            Change(catalog_revision + 2, Kind.BLUEPRINT, blueprint.resource, owner, blueprint.revision, before=shown)
        )
        facts = (*facts, BlueprintUpdated(blueprint, catalog_revision + 2))
    else:
        blueprint = None
    return Decision(Moderated(version, catalog_revision, tuple(changes), blueprint), facts)


def _newest(changed: Version, siblings: Iterable[Version]) -> str:
    """The newest version that is offered, else the newest at all; '' for one that is only planned."""
    every = [changed, *(one for one in siblings if one.version != changed.version)]
    released = [one for one in every if one.version]
    offered = [one.version for one in released if one.state in OFFERED]
    found = offered or [one.version for one in released]
    return newest_first(found)[0] if found else ""
