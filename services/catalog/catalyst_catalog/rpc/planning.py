"""Install plans, advice and comparisons as messages, and the wishes that lead to them."""

import hashlib
from collections.abc import Iterable, Mapping

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.mesh.v1 import resources_pb2 as mesh

from ..domain import capacity, upgrades
from ..domain.capacity import Amounts
from ..domain.install_plans import InstallPlan, Standing, Wish
from ..domain.installations import Installation
from ..domain.locks import Lock
from ..domain.planned import Placed, Planned
from ..domain.provider import Policy
from ..domain.refusals import CapacityExceeded
from ..domain.schema_changes import SchemaChange
from ..domain.storefront import Offer
from ..domain.universe import Release
from ..store import Picture
from .blueprints import named, struct
from .offers import resources
from .solving import entry_message, plain, to_lock
from .words import MODES, split

_CHANGES: Mapping[str, "pb.ConfigChange.Kind.ValueType"] = {
    name.removeprefix("KIND_").lower(): number for name, number in pb.ConfigChange.Kind.items()
}
_MODE_WORDS = {number: word for word, number in MODES.items()}


def to_wish(request: rpc.PlanInstallRequest) -> Wish:
    """What is to be installed."""
    return Wish(
        split(request.blueprint)[1],
        request.environment,
        request.application,
        plain(request.config),
        _MODE_WORDS.get(request.placement.mode, ""),
        tuple(request.placement.regions),
        dict(request.choices),
    )


def organization_of(environment: str) -> str:
    """`acme` of `environments/acme-prod`."""
    return environment.removeprefix("environments/").rpartition("-")[0]


def facts_of(environment: str) -> dict[str, str]:
    """What `environment.…` means in conditions."""
    name = environment.removeprefix("environments/")
    return {"name": name, "organization": organization_of(environment), "type": name.rpartition("-")[2]}


def to_standing(installed: Iterable[pb.Installed]) -> list[Standing]:
    """What stands; an Application without a name is called as its Blueprint."""
    return [
        Standing(one.application or split(one.name)[1].removeprefix("bp-"), split(one.name)[1], one.version)
        for one in installed
    ]


def known_standing(known: Iterable[Installation]) -> list[Standing]:
    """What stands, as is known from events."""
    return [
        Standing(one.application.rpartition("/")[2], split(one.blueprint)[1], one.version) for one in known
    ]  # fmt: skip


def to_installed(standing: Iterable[Standing], environment: str) -> Policy:
    """What the solver is told of what stands: every version of it may stay."""
    versions = {one.blueprint: one.version for one in standing}
    return Policy(installed=versions, locked=frozenset(versions), environment=facts_of(environment))


def to_plan(
    picture: Picture, wish: Wish, plan: InstallPlan, lock: Lock, needs: Mapping[str, Amounts], currency: str
) -> pb.InstallPlan:
    """A plan.

    needs   what one Application of a Blueprint takes, by name
    """
    edges = [(one.name, before) for one in plan.applications for before in one.after]
    return pb.InstallPlan(
        blueprint=plan.root.resource,
        version=plan.root.version,
        environment=wish.environment,
        lock=to_lock(picture, lock),
        applications=[_application(one, needs) for one in plan.applications],
        reuse_links=[
            pb.ReuseLink(
                alias=link.alias, parent=link.parent, application=link.application, connection_secret=link.secret
            )
            for link in plan.links
        ],
        files=[
            pb.PlannedFile(path=path, content=text, digest=hashlib.sha256(text.encode()).hexdigest())
            for path, text in plan.files
        ],
        flux_edges=[pb.FluxEdge(application=later, depends_on=earlier) for later, earlier in edges],
        config=struct(plan.config),
        config_hash=next(e.config_hash for e in lock.entries if e.release is plan.root),
        needs=resources(capacity.total(needs.get(one.release.name, {}) for one in plan.applications)),
        price_delta=mesh.Money(minor=0, currency=currency),
        open_choices=[
            pb.OpenChoice(
                alias=one.alias, blueprint=one.blueprint.resource, chosen=one.chosen, candidates=one.candidates
            )
            for one in plan.open_choices
        ],
        warnings=[pb.PlanWarning(reason=one.reason, message=one.message, subject=one.subject) for one in plan.warnings],
        plan_digest=plan.digest,
    )


def demand_room(verdict: capacity.Verdict) -> None:
    """Raises CapacityExceeded, with what is missing and the plan that has it."""
    if not verdict.fits:
        short = ", ".join(f"{amount} {name}" for name, amount in sorted(verdict.shortfall.items()))
        suggested = verdict.suggested.name if verdict.suggested else "no plan"
        raise CapacityExceeded(plan=verdict.plan.name, shortfall=short, suggested=suggested)


def to_advice(picture: Picture, advice: upgrades.Advice) -> pb.UpgradeAdvice:
    """Advice about one Application."""
    standing = advice.standing
    return pb.UpgradeAdvice(
        application=standing.application,
        blueprint=named(picture, standing.blueprint),
        current_version=standing.version,
        target_version=advice.path[-1] if advice.path else "",
        path=advice.path,
        also_moves=[entry_message(picture, entry) for entry in advice.also_moves],
        config_changes=config_changes(advice.config_changes),
        notices=[
            pb.PlanWarning(reason=state.name, message=message, subject=named(picture, standing.blueprint))
            for state, message in advice.notices
        ],
        reasons=advice.reasons,
    )


def config_changes(changes: Iterable[SchemaChange]) -> list[pb.ConfigChange]:
    """How two schemas differ."""
    return [
        pb.ConfigChange(path=one.path, kind=_CHANGES[one.kind.value], **{"from": one.before}, to=one.after)
        for one in changes
    ]  # fmt: skip - one list


def needs_by_blueprint(apps: Iterable[Offer], blueprint_of: Mapping[str, str]) -> dict[str, Amounts]:
    """What one Application of a Blueprint takes, as the storefront says of the app over it.

    blueprint_of   Blueprint of each app, by slug
    """
    return {blueprint_of[app.slug]: capacity.needs_of(app) for app in apps}


def dependency_changes(before: Release, after: Release) -> tuple[list[str], list[str], list[rpc.DependencyChange]]:
    """Aliases of needs that are gone, that are new, and those whose range is another."""
    old, new = ({edge.alias: edge for edge in one.edges} for one in (before, after))
    changed = [
        rpc.DependencyChange(alias=alias, from_range=old[alias].range, to_range=new[alias].range)
        for alias in sorted(old.keys() & new.keys())
        if old[alias].range != new[alias].range
    ]
    return sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys()), changed


def _application(one: Planned, needs: Mapping[str, Amounts]) -> pb.PlannedApplication:
    return pb.PlannedApplication(
        name=one.name,
        blueprint=one.release.resource,
        version=one.release.version,
        digest=one.release.digest,
        alias=one.alias,
        config=struct(one.config),
        placement=_placement(one.placed),
        needs=resources(needs.get(one.release.name, {})),
        wave=one.wave,
    )


def _placement(placed: Placed) -> pb.Placement:
    return pb.Placement(mode=MODES[placed.mode], regions=placed.regions)
