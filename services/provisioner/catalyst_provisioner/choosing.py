"""Asking the catalog for the components of a plan, and saying what stands against them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalyst_sdk import Violation
from catalyst_sdk.cloud import Finding, Severity

from .domain import hidden
from .domain.locks import Lock, Traits
from .domain.rules import SpecInvalid
from .domain.wishes import Wish
from .peers import Catalog, Choice, SaidNo, Selected


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a wish leads to."""

    lock: Lock
    """An empty one where the catalog can make none."""
    findings: tuple[Finding, ...] = ()
    traits: Mapping[str, Traits] = field(default_factory=dict)


class Chooser:
    """Turns wishes into locks."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def check(self, wish: Wish) -> None:
        """Raises SpecInvalid for components that the catalog does not know or does not let go."""
        choice = _choice(wish)
        if choice == Choice():
            return
        try:
            await self._catalog.select(choice)
        except SaidNo as no:
            if no.said.reason not in _FOUND:
                raise SpecInvalid(_component_violations(no, choice)) from no

    async def chosen(
        self, wish: Wish, stands: Mapping[str, str], *, newest: bool, pins: Mapping[str, str] | None = None
    ) -> Chosen:
        """The lock, and what the catalog has against it. Raises SpecInvalid for what it does not know.

        stands   version by component that is installed; with `newest` all of them are raised
        pins     exact versions that its channel demands; None: it has none
        """
        choice = _choice(wish)
        try:
            lock, selected = await self._catalog.lock(choice, stands, newest=newest, pins=pins)
            found = [
                *_selection_findings(wish, selected),
                *await self._values(wish, lock),
                *hidden.findings(lock, selected.traits),
            ]
        except SaidNo as no:
            if no.said.reason not in _FOUND:
                raise SpecInvalid(_component_violations(no, choice)) from no
            text, path = no.said.message, _component_violations(no, choice)[0].field
            return Chosen(Lock("", ()), (Finding(_FOUND[no.said.reason], Severity.ERROR, path, text, "choose others"),))
        if wish.release_digest and wish.release_digest.removeprefix("sha256:") != lock.digest.removeprefix("sha256:"):
            text = f"the catalog's lock is {lock.digest}, not the pinned {wish.release_digest}"
            remedy = "leave the digest out, or wait for that release"
            found.append(Finding("release.digest", Severity.ERROR, "spec.release.digest", text, remedy))
        return Chosen(lock, tuple(found), selected.traits)

    async def _values(self, wish: Wish, lock: Lock) -> list[Finding]:
        """What the Blueprints' schemas have against the values of the spec."""
        versions = {component.name: component.version for component in lock.components}
        found = []
        for name, values in wish.values.items():
            path = f"spec.components.values.{name}"
            if name not in versions:
                text = f"{name} is not among the components"
                found.append(Finding("component.absent", Severity.ERROR, path, text, "include it, or drop its values"))
                continue
            for violation in await self._catalog.faults(name, versions[name], values):
                where = f"{path}{violation.field.replace('/', '.')}" if violation.field.startswith("/") else path
                text = violation.description
                found.append(Finding("component.values", Severity.ERROR, where, text, "see the Blueprint's schema"))
        return found


def _choice(wish: Wish) -> Choice:
    return Choice(wish.families, wish.include, wish.exclude)


def _component_violations(no: SaidNo, choice: Choice) -> list[Violation]:
    told = " ".join([*no.said.metadata.values(), *(v.description for v in no.said.violations)])
    words = set(told.replace(",", " ").split())
    named = [
        Violation(f"spec.components.{key}[{i}]", no.said.message, no.said.reason)
        for key in ("families", "include", "exclude")
        for i, name in enumerate(getattr(choice, key))
        if name in words
    ]
    return named or [Violation("spec.components", no.said.message, no.said.reason)]


def _selection_findings(wish: Wish, selected: Selected) -> list[Finding]:
    """What comes or goes with the choice beside what it names."""
    found = []
    path = "spec.components"
    if more := sorted(set(selected.removed) - set(wish.exclude)):
        names = ", ".join(more)
        severity = Severity.INFO if wish.confirm_cascade else Severity.ERROR
        text = f"{names} would go too, because of what is left out"
        remedy = "" if wish.confirm_cascade else "set confirm_cascade, or leave less out"
        found.append(Finding("component.cascade", severity, f"{path}.exclude", text, remedy, {"components": names}))
    if selected.planned:
        names = ", ".join(sorted(selected.planned))
        text = f"{names} would belong, and is only planned"
        found.append(Finding("component.planned_only", Severity.INFO, path, text, "", {"components": names}))
    return found


_FOUND = {
    "NOT_RELEASED": "component.planned_only",
    "UNSATISFIABLE": "component.conflict",
    "NO_MATCH": "component.conflict",
    "VALUES_CONFLICT": "component.conflict",
    "DEPENDENCY_CYCLE": "component.conflict",
    "VERSION_QUARANTINED": "component.conflict",
    "SOLVER_BUDGET": "component.conflict",
}
"""What of a catalog's refusals is a finding of the plan, by reason; all else is a fault of the spec."""
