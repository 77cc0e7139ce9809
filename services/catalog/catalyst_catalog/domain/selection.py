"""Choosing components: what a click on one of them adds or takes away.

Invariants
  closed      a selection holds everything that its members need, over `depends` and `alsoSelects`;
  mandatory   mandatory components are never taken away;
  core        a member that its own optional family calls mandatory is there as long as another member is;
  released    planned components are never selected, deferred ones by explicit choice only.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .manifest_parts import Status, Tier
from .refusals import CoreComponent, MandatoryComponent, NotReleased, UnknownComponent, UnknownFamily
from .universe import Release, Universe


@dataclass(frozen=True, slots=True)
class Family:
    """A family of Blueprints, as the data file states it."""

    id: str
    title: str
    tier: Tier
    cascade_on_member_selection: bool = False
    depends_on_families: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """A selection after a change, and what the change did. All sorted."""

    selected: tuple[str, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    """Reached, but not released."""
    because: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each added or removed component the way from what was asked for to it."""


class Components:
    """The components of one universe, with tiers after promotion."""

    def __init__(self, universe: Universe, families: Iterable[Family]) -> None:
        self._heads: Mapping[str, Release] = universe.heads
        self.families = {family.id: family for family in families}
        self._needs = {name: self._edges(release) for name, release in self._heads.items()}
        self._needed_by = _turned(self._needs)
        self.mandatory = self._promoted()
        self._members: dict[str, list[str]] = {}
        for name, release in self._heads.items():
            self._members.setdefault(release.family, []).append(name)

    def tier(self, name: str) -> Tier:
        """The tier after promotion; a family's core counts as optional for the Sovereign."""
        if name in self.mandatory:
            return Tier.MANDATORY
        declared = self._heads[name].tier
        return Tier.OPTIONAL if declared is Tier.MANDATORY else declared

    def is_core(self, name: str) -> bool:
        """Whether a family that is not mandatory cannot be without it."""
        return name not in self.mandatory and self._heads[name].tier is Tier.MANDATORY

    def default(self) -> Selected:
        """Mandatory and recommended components with all their needs; no family cascade."""
        wished = [n for n in self._heads if self.tier(n) is not Tier.OPTIONAL and self._is_selectable(n)]
        return self._grown(frozenset(), wished, cascade=False)

    def minimum(self) -> Selected:
        """What every Sovereign has."""
        return self._grown(frozenset(), [n for n in self.mandatory if self._is_selectable(n)], cascade=False)

    def add(self, selected: Collection[str], names: Collection[str]) -> Selected:
        """Add `names` with their needs, and whole families where a family asks for that."""
        self._check_known([*selected, *names])
        if unreleased := sorted(n for n in names if self._heads[n].manifest.spec.status is Status.PLANNED):
            raise NotReleased(blueprint=", ".join(unreleased))
        return self._grown(frozenset(selected), names, cascade=True)

    def remove(self, selected: Collection[str], names: Collection[str]) -> Selected:
        """Take `names` away, with all that need them. Raises MandatoryComponent, CoreComponent."""
        self._check_known([*selected, *names])
        if kept := sorted(set(names) & self.mandatory):
            raise MandatoryComponent(component=", ".join(kept))
        found = self._reached(names, self._needed_by, frozenset(selected))
        removed = {name: path for name, path in found.items() if name in selected}
        self._check_cores(frozenset(selected) - removed.keys(), removed)
        return self._shrunk(selected, removed)

    def add_family(self, selected: Collection[str], family: str) -> Selected:
        """Add all members of `family` that can be selected, and of the families that it needs."""
        families = self._with_needed(family)
        self._check_known(selected)
        members = [n for f in families for n in self._members.get(f, ())]
        return self._grown(frozenset(selected), members, cascade=True)

    def remove_family(self, selected: Collection[str], family: str) -> Selected:
        """Take the members of `family` away, the core too, and all that need them; mandatory ones stay."""
        self._family(family)
        self._check_known(selected)
        members = [n for n in self._members.get(family, ()) if n in selected and n not in self.mandatory]
        found = self._reached(members, self._needed_by, frozenset(selected))
        removed = {n: path for n, path in found.items() if n in selected and n not in self.mandatory}
        self._check_cores(frozenset(selected) - removed.keys(), removed)
        return self._shrunk(selected, removed)

    def _grown(self, before: frozenset[str], names: Iterable[str], *, cascade: bool) -> Selected:
        because: dict[str, tuple[str, ...]] = {}
        unavailable: set[str] = set()
        queue: deque[tuple[str, tuple[str, ...]]] = deque((name, (name,)) for name in sorted(names))
        seen_families: set[str] = set()
        while queue:
            name, path = queue.popleft()
            if name in before or name in because or name in unavailable:
                continue
            if not self._may_join(name, explicit=len(path) == 1):
                unavailable.update([name] if self._heads[name].is_planned else [])
                continue
            because[name] = path
            queue.extend((need, (*path, need)) for need in sorted(self._needs[name]))
            queue.extend(self._drawn_in(name, path, seen_families, cascade=cascade))
        after = before | because.keys()
        return Selected(_sorted(after), _sorted(because), (), _sorted(unavailable), because)

    def _drawn_in(
        self, name: str, path: tuple[str, ...], seen: set[str], *, cascade: bool
    ) -> list[tuple[str, tuple[str, ...]]]:
        """What a newly added member brings along: its family where that cascades, else the family's core."""
        family = self.families.get(self._heads[name].family)
        if family is None or family.tier is Tier.MANDATORY or family.id in seen:
            return []
        seen.add(family.id)
        whole = cascade and family.cascade_on_member_selection
        members = [n for n in sorted(self._members[family.id]) if whole or self.is_core(n)]
        return [(n, (*path, f"families/{family.id}", n)) for n in members if n != name]

    def _shrunk(self, selected: Collection[str], removed: Mapping[str, tuple[str, ...]]) -> Selected:
        return Selected(_sorted(set(selected) - removed.keys()), (), _sorted(removed), (), dict(removed))

    def _check_cores(self, left: frozenset[str], removed: Mapping[str, tuple[str, ...]]) -> None:
        for core in sorted(name for name in removed if self.is_core(name)):
            family = self._heads[core].family
            if others := [n for n in left if self._heads[n].family == family]:
                raise CoreComponent(component=core, family=family, members=", ".join(sorted(others)))

    def _may_join(self, name: str, *, explicit: bool) -> bool:
        return self._is_selectable(name) or (explicit and self._heads[name].is_offered)

    def _is_selectable(self, name: str) -> bool:
        release = self._heads[name]
        return release.is_offered and not release.is_opt_in

    def _edges(self, release: Release) -> frozenset[str]:
        wanted = {edge.blueprint for edge in release.edges} | set(release.manifest.spec.also_selects)
        return frozenset(name for name in wanted if name in self._heads)

    def _promoted(self) -> frozenset[str]:
        """Breadth first from what a mandatory family calls mandatory: whatever that needs is mandatory too."""
        declared = [
            name
            for name, release in self._heads.items()
            if release.tier is Tier.MANDATORY and self._is_mandatory_family(release.family)
        ]
        return frozenset(self._reached(declared, self._needs, frozenset(self._heads)))

    def _is_mandatory_family(self, family: str) -> bool:
        return family in self.families and self.families[family].tier is Tier.MANDATORY

    def _reached(
        self, starts: Iterable[str], graph: Mapping[str, frozenset[str]], within: frozenset[str]
    ) -> dict[str, tuple[str, ...]]:
        """Everything that can be reached in `graph`, each with its path; opt-in components only as a start."""
        found: dict[str, tuple[str, ...]] = {}
        queue: deque[tuple[str, tuple[str, ...]]] = deque((name, (name,)) for name in sorted(starts))
        while queue:
            name, path = queue.popleft()
            if name in found or (len(path) > 1 and (name not in within or self._skips(name, graph))):
                continue
            found[name] = path
            queue.extend((further, (*path, further)) for further in sorted(graph.get(name, ())))
        return found

    def _skips(self, name: str, graph: Mapping[str, frozenset[str]]) -> bool:
        return graph is self._needs and self._heads[name].is_opt_in

    def _with_needed(self, family: str) -> list[str]:
        order, queue = [], deque([family])
        while queue:
            one = self._family(queue.popleft())
            if one.id not in order:
                order.append(one.id)
                queue.extend(one.depends_on_families)
        return order

    def _family(self, name: str) -> Family:
        if name not in self.families:
            raise UnknownFamily(family=name)
        return self.families[name]

    def _check_known(self, names: Iterable[str]) -> None:
        if unknown := sorted({name for name in names if name not in self._heads}):
            raise UnknownComponent(names=", ".join(unknown))


def _turned(graph: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    turned: dict[str, set[str]] = {}
    for name, needs in graph.items():
        for need in needs:
            turned.setdefault(need, set()).add(name)
    return {name: frozenset(parents) for name, parents in turned.items()}


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
