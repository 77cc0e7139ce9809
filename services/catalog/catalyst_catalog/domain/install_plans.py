"""What an installation would do: which Applications come, in which order, from what bytes, beside what stands already.

Invariants
  pure         equal wishes, catalogue and surroundings give an equal plan with an equal digest;
  whole        every Application of the tree is planned or met by one that stands, and whatever nobody chose is said;
  by digest    nothing is planned but bytes that the catalogue knows by their digest.

Blueprints of the layers below applications are the Sovereign's own: a plan names those that do not stand, and makes none.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import config_schema, files
from .locks import Entry, Lock
from .manifest_parts import REGIONS, Layer, Placement
from .planned import Placed, Planned
from .refusals import (
    ApplicationExists,
    ChoiceUnavailable,
    ConfigInvalid,
    PlacementInvalid,
    PlacementUnsupported,
    SingleInstance,
)
from .universe import Release, State, Universe

DEDICATED, REUSE = "dedicated", "reuse:"
MOST_OF_A_NAME = 9
"""Highest number behind a name that is taken."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An Application of the Environment."""

    application: str
    blueprint: str
    version: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be installed, and where."""

    blueprint: str
    environment: str
    application: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    mode: str = ""
    regions: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A need that is met by an Application that stands."""

    alias: str
    parent: str
    application: str

    @property
    def secret(self) -> str:
        """Name of the Secret that will hold the connection."""
        return f"{self.parent}-{self.alias}-connection"


@dataclass(frozen=True, slots=True)
class Open:
    """A choice that nobody made, with what the plan takes meanwhile."""

    alias: str
    blueprint: Release
    chosen: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at that stops nothing."""

    reason: str
    message: str
    subject: str


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The plan; `digest` covers all that an installer would do."""

    root: Release
    applications: tuple[Planned, ...]
    links: tuple[Link, ...]
    files: tuple[tuple[str, str], ...]
    """Path and text of what is written into Git."""
    config: Mapping[str, Any]
    open_choices: tuple[Open, ...]
    warnings: tuple[Notice, ...]
    digest: str


def application_name(wish: Wish, standing: Sequence[Standing]) -> str:
    """Name of the Application: the one that was asked for, else one that is free. Raises ApplicationExists."""
    taken = {one.application for one in standing}
    if wish.application in taken:
        raise ApplicationExists(environment=wish.environment, application=wish.application)
    return wish.application or _free(wish.blueprint.removeprefix("bp-"), taken)


def plan(universe: Universe, wish: Wish, lock: Lock, standing: Sequence[Standing]) -> InstallPlan:
    """What `lock` means in an Environment where `standing` is.

    Raises SingleInstance, ApplicationExists, ChoiceUnavailable, PlacementInvalid, PlacementUnsupported.
    """
    return _Planning(universe, wish, lock, standing).plan()


class _Planning:
    def __init__(self, universe: Universe, wish: Wish, lock: Lock, standing: Sequence[Standing]) -> None:
        self._universe = universe
        self._wish = wish
        self._entries = {entry.release.name: entry for entry in lock.entries}
        self._lock = lock
        self._standing = sorted(standing, key=lambda one: one.application)
        self._links: list[Link] = []
        self._open: list[Open] = []
        self._name = application_name(wish, standing)
        self._taken = {one.application for one in standing} | {self._name}
        self._serving: dict[str, str] = {}
        """Application by Blueprint: what the plan makes, or what stands and is used."""

    def plan(self) -> InstallPlan:
        root = self._entries[self._wish.blueprint]
        self._demand_room(root.release)
        placed = _placed(root.release, self._wish)
        self._serving[root.release.name] = self._name
        created = self._chosen(root)
        for entry in created:
            _demand_cover(entry.release, placed, root.release)
        applications = tuple(self._planned(entry, placed) for entry in [*created, root])
        warnings = tuple(self._warnings())
        config = next(one.config for one in applications if one.release is root.release)
        written = tuple(files.of(self._wish.environment, one) for one in applications)
        return InstallPlan(
            root.release,
            applications,
            tuple(self._links),
            written,
            config,
            tuple(self._open),
            warnings,
            self._digest(applications, written),
        )  # fmt: skip - one plan

    def _demand_room(self, root: Release) -> None:
        taken = [one.application for one in self._standing if one.blueprint == root.name]
        if taken and not root.manifest.spec.multi_instance.enabled:
            raise SingleInstance(blueprint=root.name, application=taken[0])

    def _chosen(self, root: Entry) -> list[Entry]:
        """The entries beside the root for which an Application is made, in the order of installation."""
        created = []
        needed = [e for e in self._entries.values() if e is not root and _is_application(e.release)]
        known = {_alias(entry) for entry in needed}
        if unknown := sorted(set(self._wish.choices) - known):
            raise ChoiceUnavailable(
                alias=unknown[0], choice=self._wish.choices[unknown[0]], why="nothing is needed as that"
            )
        for entry in sorted(needed, key=lambda e: (e.wave, e.release.name)):
            alias = _alias(entry)
            candidates = [one for one in self._standing if one.blueprint == entry.release.name]
            choice = self._wish.choices.get(alias) or self._usual(entry, candidates)
            if choice == DEDICATED:
                self._demand_own(entry, candidates, choice)
                self._serving[entry.release.name] = self._free_name(f"{self._name}-{alias}")
                created.append(entry)
            else:
                self._reuse(entry, choice, candidates)
        return created

    def _usual(self, entry: Entry, candidates: Sequence[Standing]) -> str:
        """What is taken where nobody chose: an Application of which there can be one, else a new one."""
        is_single = not entry.release.manifest.spec.multi_instance.enabled
        chosen = f"{REUSE}{candidates[0].application}" if candidates and is_single else DEDICATED
        if candidates:
            names = tuple(one.application for one in candidates)
            self._open.append(Open(_alias(entry), entry.release, chosen, names))
        return chosen

    def _demand_own(self, entry: Entry, candidates: Sequence[Standing], choice: str) -> None:
        if candidates and not entry.release.manifest.spec.multi_instance.enabled:
            why = f"there can be one, and {candidates[0].application} stands"
            raise ChoiceUnavailable(alias=_alias(entry), choice=choice, why=why)

    def _reuse(self, entry: Entry, choice: str, candidates: Sequence[Standing]) -> None:
        name = choice.removeprefix(REUSE)
        alias = _alias(entry)
        found = next((one for one in candidates if one.application == name), None)
        if found is None:
            why = f"no Application of {entry.release.name} is called so"
            raise ChoiceUnavailable(alias=alias, choice=choice, why=why)
        for parent, known_as in entry.parents:
            edge = (
                next((e for e in self._entries[parent].release.edges if e.alias == known_as), None) if parent else None
            )
            if edge is not None and found.version not in self._universe.matching(entry.release.name, edge.range):
                why = f"it is {found.version}, and {parent} needs {edge.range}"
                raise ChoiceUnavailable(alias=alias, choice=choice, why=why)
        self._serving[entry.release.name] = name
        self._links.append(Link(alias, self._name, name))

    def _free_name(self, name: str) -> str:
        found = _free(name, self._taken)
        self._taken.add(found)
        return found

    def _planned(self, entry: Entry, placed: Placed) -> Planned:
        release = entry.release
        is_root = release.name == self._wish.blueprint
        schema = release.manifest.spec.config_schema
        # What only an installer could say of a dependency is told in `_warnings`: it stops nobody who looks at a plan.
        config = config_schema.normalise(schema, self._wish.config) if is_root else entry.config
        after = sorted({self._serving[name] for name in entry.needs if name in self._serving})
        where = placed if is_root else _followed(release.manifest.spec.placement_schema, placed)
        alias = "" if is_root else _alias(entry)
        return Planned(self._serving[release.name], release, alias, config, where, entry.wave, tuple(after))

    def _warnings(self) -> Iterable[Notice]:
        for entry in self._lock.entries:
            one = entry.release
            if one.state in (State.DEPRECATED, State.YANKED):
                yield Notice(one.state.name, f"{one.name} {one.version} is {one.state.name.lower()}", one.resource)
            if not _is_application(one) and not entry.is_installed:
                message = f"{one.name} is a component of the Sovereign, which is not known to have it"
                yield Notice("SOVEREIGN_COMPONENT", message, one.resource)
            if one.name != self._wish.blueprint and _is_application(one) and (missing := _incomplete(entry)):
                yield Notice("CONFIG_INCOMPLETE", f"{one.name} needs {missing}, which nothing says", one.resource)

    def _digest(self, applications: Sequence[Planned], written: Sequence[tuple[str, str]]) -> str:
        """SHA-256, hexadecimal. The revision of the catalogue is left out: what others publish must not make a plan stale."""
        document = {
            "environment": self._wish.environment,
            "lock": self._lock.digest,
            "applications": [
                [a.name, a.release.resource, a.release.version, a.release.digest, a.placed.mode, list(a.placed.regions)]
                for a in applications
            ],
            "links": [[link.alias, link.parent, link.application] for link in self._links],
            "files": [list(file) for file in written],
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _is_application(release: Release) -> bool:
    return release.manifest.spec.layer is Layer.APPLICATION


def _incomplete(entry: Entry) -> str:
    """Paths of a dependency's configuration that are wrong as they stand; '' where none is."""
    try:
        config_schema.normalise(entry.release.manifest.spec.config_schema, entry.config)
    except ConfigInvalid as refusal:
        return ", ".join(violation.field for violation in refusal.violations)
    return ""


def _alias(entry: Entry) -> str:
    """The alias by which its first parent speaks of it."""
    return next((alias for parent, alias in entry.parents if parent), entry.release.name.removeprefix("bp-"))


def _free(name: str, taken: Iterable[str]) -> str:
    """`name`, or with the first free number behind it."""
    known = set(taken)
    names = [name, *(f"{name}-{number}" for number in range(2, MOST_OF_A_NAME + 1))]
    found = next((one for one in names if one not in known), None)
    if found is None:
        raise ApplicationExists(environment="it", application=names[-1])
    return found


def _placed(release: Release, wish: Wish) -> Placed:
    """Where the root runs. Raises PlacementInvalid."""
    schema = release.manifest.spec.placement_schema
    several = len(wish.regions) > 1
    usual = schema.default_on_multi_region if several and schema.default_on_multi_region else schema.default
    mode = wish.mode or usual
    if mode not in schema.modes:
        raise PlacementInvalid(blueprint=release.name, why=f"{mode} is none of {', '.join(schema.modes)}")
    least, most = REGIONS[mode]
    least, most = max(least, schema.min_regions), min(most, schema.max_regions)
    if wish.regions and not least <= len(wish.regions) <= most:
        why = f"{mode} takes {least} to {most} region(s), not {len(wish.regions)}"
        raise PlacementInvalid(blueprint=release.name, why=why)
    return Placed(mode, wish.regions)


def _demand_cover(release: Release, placed: Placed, parent: Release) -> None:
    if _covering(release.manifest.spec.placement_schema, placed) is None:
        raise PlacementUnsupported(
            blueprint=release.name,
            regions=len(placed.regions) or REGIONS[placed.mode][0],
            mode=placed.mode,
            parent=parent.name,
        )  # fmt: skip - one refusal


def _followed(schema: Placement, placed: Placed) -> Placed:
    return Placed(_covering(schema, placed) or schema.default, placed.regions)


def _covering(schema: Placement, placed: Placed) -> str | None:
    """A mode of `schema` that covers what was placed: the same one, else any over as many regions."""
    count = len(placed.regions) or REGIONS[placed.mode][0]
    modes = [placed.mode, *schema.modes] if placed.mode in schema.modes else list(schema.modes)
    fitting = (m for m in modes if REGIONS[m][0] <= count <= min(REGIONS[m][1], schema.max_regions))
    return next(fitting, None)
