"""Reading what a plan is made from: clouds, catalog, names and the ledger. Changes none of them.

What each of those is asked, and what stands against a plan because of its answer, has a module of its own: `survey`, `choosing`,
`availability`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from catalyst_mesh import Work
from catalyst_sdk import SecretRef
from catalyst_sdk.cloud import Action, Adopted, Discovered, Finding, InfraPlan, Offer, Severity

from . import references
from .availability import Availability
from .choosing import Chooser, Chosen
from .clouds import CloudPlugins
from .domain import (
    adoptions,
    budgets,
    channels,
    cidrs,
    claims,
    layouts,
    objections,
    plans,
    risks,
    rules,
    sizing,
    tending,
    upgrades,
    wishes,
)
from .domain.locks import Traits
from .domain.plan_inputs import Found, Held, Read, Wanted
from .domain.reference import Reference
from .domain.rules import IsPublicSuffix
from .domain.sizing import Offers
from .domain.sovereign import Sovereign
from .domain.staleness import Present, offers_moved
from .domain.tending import Deed
from .domain.wishes import Document, Wish
from .peers import Catalog, Names
from .releasing import Held as Release
from .releasing import Releases
from .store import ClusterRow, Entry, Store
from .survey import Survey, under
from .vault import Vault
from .zones import Zones

CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Known:
    """What our own tables hold of a Sovereign."""

    clusters: Mapping[str, ClusterRow]
    entries: tuple[Entry, ...]
    installed: Mapping[str, Mapping[str, str]]
    revision: int
    holds_name: bool
    is_delegated: bool

    @property
    def versions(self) -> Mapping[str, str]:
        """Version by component, as the first cluster has it."""
        return next(iter(self.installed.values()), {})

    @property
    def k3s(self) -> Mapping[str, str]:
        """Version of k3s that each cluster was last heard to run."""
        return {name: str((row.heartbeat or {}).get("k3s_version", "")) for name, row in self.clusters.items()}

    def nodes(self, cluster: str) -> Sequence[Mapping[str, Any]]:
        """What a cluster has shown of its nodes."""
        return (self.clusters[cluster].inventory or {}).get("nodes", ()) if cluster in self.clusters else ()

    def adopted(self, cluster: str) -> Mapping[str, Adopted]:
        """What was given to a cluster."""
        return self.clusters[cluster].adopted if cluster in self.clusters else {}

    @property
    def held(self) -> tuple[Held, ...]:
        """The ledger as a plan needs it."""
        return tuple(Held(entry.cluster, entry.row, entry.manager) for entry in self.entries)


class Planner:
    """Makes plans, in the contract's JSON form."""

    def __init__(
        self, work: Work[Store], vault: Vault, clouds: CloudPlugins, catalog: Catalog, names: Names,
        zones: Zones, reference: Reference, is_public_suffix: IsPublicSuffix, releases: Releases,
    ) -> None:  # fmt: skip
        self._releases = releases
        self._work = work
        self.clouds = clouds
        self.survey = Survey(work, vault, clouds, reference)
        self._chooser = Chooser(catalog)
        self._names = Availability(names, zones)
        self.reference = reference
        self._is_public_suffix = is_public_suffix

    def checked(self, document: Document) -> dict[str, Any]:
        """The document, shorthand expanded. Raises SpecInvalid with all that is wrong in it."""
        expanded = layouts.expanded(document, self.clouds.clouds, self.reference)
        rules.check(expanded, self.clouds.clouds, self.reference, self._is_public_suffix)
        return expanded

    def wish(self, document: Document) -> Wish:
        """A checked document, read."""
        return wishes.read(document, self.clouds.clouds, self.reference)

    async def check_name(self, document: Document) -> None:
        """Raises SpecInvalid for a pool that is not known, or a name of one's own in a pool."""
        await self._names.check(document)

    async def check_components(self, document: Document) -> None:
        """Raises SpecInvalid for components that the catalog does not know or does not let go."""
        await self._chooser.check(self.wish(document))

    async def apply(
        self, sovereign: Sovereign, document: Document, *, intent: str = plans.APPLY,
        adopted: Mapping[str, Mapping[str, Sequence[str]]] | None = None, found: Sequence[Finding] = (),
        tended: Sequence[Deed] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """A plan that makes `document` true.

        adopted   name and id of what is given to a cluster, by address, by cluster
        found     what stands against it already
        tended    work on single nodes beside it
        """
        wish = self.wish(document)
        known = await self._known(sovereign.id)
        held = await self._releases.held(document)
        chosen = await self._chosen(wish, known, held, newest=intent == plans.UPGRADE)
        rising, stairs = upgrades.of(wish, known.k3s)
        offers, numbers = await self.survey.offers(wish), numbered(wish, known.clusters)
        given = {cluster.name: _given(known, adopted or {}, cluster.name) for cluster in wish.clusters}
        ending = {deed.cluster: {deed.server: deed.server_id} for deed in tended if deed.server_id}
        infra, of_clouds = await self.survey.plans(sovereign, wish, numbers, given, ending)
        names = {cluster.name for cluster in wish.clusters}
        wanted = Wanted(document, wish, chosen.lock, infra, _is_applied(sovereign, document),
                        tuple(name for name in known.clusters if name not in names), rising,
                        _handed_at_the_end(wish, known), tuple(deed.plain() for deed in tended),
                        [risk for deed in tended for risk in _restarting(deed, known)])  # fmt: skip
        read = self._read(sovereign, known, wish, offers)
        month = int(plans.cost_of(read, infra)["after"]["total"]["month"]["minor"])
        found = [
            *found,
            *chosen.findings,
            *stairs,
            *of_clouds,
            *upgrades.unfetched(wish, infra, rising, self.clouds.binaries),
            *await self._names.findings(wish, is_held=known.holds_name, is_delegated=known.is_delegated),
            *objections.ranges(wish, numbers, self.reference),
            *objections.unsold(wish, offers),
            *await self._references(document),
            *await self._releases.judged(held, known.versions, chosen.lock, newest=intent == plans.UPGRADE),
            *objections.without_crossplane(wanted),
        ]
        traits = [chosen.traits.get(component.name, Traits()) for component in chosen.lock.components]
        found += sizing.findings(wish, offers, self.reference, self._capabilities(), numbers, traits)
        found += budgets.findings(wish, month, CURRENCY, self.reference.warn_at, self.reference.block_at)
        moving = _moves(infra) | set(wanted.removed)
        found += [
            objections.crossplanes(name, "a plan changes nothing of it") for name in plans.given_away(read, moving)
        ]
        shown = [_found(wish, offers, finding) for finding in _sorted(found)]
        more = {"adopted": adopted} if adopted else {}
        read = replace(read, release=held.channel.told if held.channel else "")
        return plans.apply(read, wanted, shown, intent=intent, more=more)

    async def _chosen(self, wish: Wish, known: Known, held: Release, *, newest: bool) -> Chosen:
        pins = channels.pins(held.channel, known.versions, newest=newest) if held.channel else None
        return await self._chooser.chosen(wish, known.versions, newest=newest, pins=pins)

    async def tend(self, sovereign: Sovereign, verb: str, target: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """A plan of work on one node. Raises TargetNotFound, SpecInvalid."""
        known = await self._known(sovereign.id)
        nodes = {name: known.nodes(name) for name in known.clusters}
        servers = {name: (row.made or {}).get("servers", ()) for name, row in known.clusters.items()}
        deed = tending.asked(verb, target, spec, nodes, servers)
        cloud = self.clouds.clouds.get(known.clusters[deed.cluster].provider)
        can = cloud is not None and tending.CAPABILITY in cloud.capabilities
        found = tending.findings(deed, nodes[deed.cluster], can_replace=can)
        # What a cluster shows to be so already is an empty plan; pods may have come onto a node before it was closed.
        idle = deed.verb in (tending.CORDON, tending.UNCORDON) and deed.is_done(nodes[deed.cluster])
        return await self.apply(sovereign, sovereign.spec, found=found, tended=() if idle else (deed,))

    async def adopt(
        self, sovereign: Sovereign, document: Document, labels: Mapping[str, str], ids: Sequence[str]
    ) -> dict[str, Any]:
        """A plan that takes over what is there: what its labels and ids find is imported, and nothing is replaced."""
        wish, known = self.wish(document), await self._known(sovereign.id)
        numbers = numbered(wish, known.clusters)
        given: dict[str, Mapping[str, Adopted]] = {}
        found: list[Finding] = []
        taken: list[Discovered] = []
        for cluster in wish.clusters:
            place = f"spec.clusters[{wish.clusters.index(cluster)}]"
            if adoptions.CAPABILITY not in self.clouds.clouds[cluster.provider].capabilities:
                text = f"{cluster.provider} adopts nothing"
                found.append(Finding("plugin.capability_missing", Severity.ERROR, place, text, "make it anew"))
                continue
            before, more = known.adopted(cluster.name), numbers[cluster.name]
            first, _ = await self.survey.plan(sovereign, wish, cluster, more, before)
            if first is None:  # the plan below says why
                continue
            there = await self.clouds.get(cluster.provider).discover(
                labels=labels, credential=SecretRef(cluster.credential)
            )
            # What lies in no region (a network, a firewall) goes to the first cluster that has a wish for it.
            here = [r for r in there if r.region in ("", cluster.region) and r not in taken]
            wanted = [r for r in here if not ids or r.id in ids]
            others = adoptions.foreign(wanted, sovereign.uid)
            fresh = adoptions.assign(first.changes, [r for r in wanted if r not in others])
            given[cluster.name] = {**before, **fresh.adopted}
            taken += [r for r in wanted if r not in (*others, *fresh.unmatched)]
            second, _ = await self.survey.plan(sovereign, wish, cluster, more, given[cluster.name])
            against = adoptions.findings(fresh, second or first, others)
            if not self.clouds.clouds[cluster.provider].simulated:
                against += adoptions.unmanned(fresh, first.changes)
            found += [under(place, f) for f in against]
        rows = {name: {a: [g.name, g.id] for a, g in of.items()} for name, of in given.items()}
        return await self.apply(sovereign, document, intent=plans.ADOPT, adopted=rows, found=found)

    async def destroy(self, sovereign: Sovereign, keep: Sequence[str]) -> dict[str, Any]:
        """A plan that takes everything away."""
        known = await self._known(sovereign.id)
        read = Read(
            sovereign=sovereign.name, generation=sovereign.generation, ledger_revision=known.revision,
            currency=CURRENCY, held=known.held, installed=known.installed,
        )  # fmt: skip
        approvals = wishes.approvals(sovereign.spec)
        given = plans.given_away(read, known.clusters)
        found = [Found(objections.crossplanes(name, "a destroy deletes nothing of it"), name) for name in given]
        return plans.destroy(read, sovereign.spec, list(known.clusters), keep, approvals=approvals, found=found)

    async def hand_off(self, sovereign: Sovereign, clusters: Sequence[str], *, roll_back: bool) -> dict[str, Any]:
        """A plan that gives resources to Crossplane, or takes them back."""
        known = await self._known(sovereign.id)
        read = Read(
            sovereign=sovereign.name, generation=sovereign.generation, ledger_revision=known.revision,
            currency=CURRENCY, held=known.held, installed=known.installed,
        )  # fmt: skip
        found = []
        if unknown := sorted(set(clusters) - known.clusters.keys()):
            text = f"there is no cluster {', '.join(unknown)}"
            found.append(Found(Finding("handoff.cluster", Severity.ERROR, "options.clusters", text, "name others")))
        if sovereign.applied_generation != sovereign.generation and not roll_back:
            text = "the wish is newer than what was applied"
            found.append(Found(Finding("handoff.unapplied", Severity.ERROR, "spec", text, "apply it first")))
        for name in known.clusters if not roll_back else ():
            if objections.CROSSPLANE not in known.installed.get(name, {}):
                text = f"{objections.CROSSPLANE} is not installed in {name}, and nobody would keep its resources"
                found.append(
                    Found(Finding("handoff.crossplane", Severity.WARNING, "spec.components", text, "include it"), name)
                )
        return plans.hand_off(read, sovereign.spec, list(clusters) or list(known.clusters), found, roll_back=roll_back)

    async def present(self, body: Mapping[str, Any], sovereign: Sovereign, revision: int, now: datetime) -> Present:
        """The inputs of a plan as they are now."""
        made = Present(now, sovereign.generation, revision)
        if body["intent"] in (plans.DESTROY, plans.HAND_OFF):
            return made
        wish = self.wish(body["spec"])
        providers = [cluster.provider for cluster in wish.clusters]
        known = await self._known(sovereign.id)
        held = await self._releases.held(body["spec"])
        chosen = await self._chosen(wish, known, held, newest=body["intent"] == plans.UPGRADE)
        return replace(
            made, lock_digest=chosen.lock.digest, versions=self.clouds.versions(providers),
            module_digests=self.clouds.module_digests(providers),
        )  # fmt: skip

    async def offers_moved(self, body: Mapping[str, Any]) -> bool:
        """Whether what is sold now lets a plan down."""
        if body["intent"] in (plans.DESTROY, plans.HAND_OFF):
            return False
        wish = self.wish(body["spec"])
        places = {cluster.name: f"{cluster.provider}/{cluster.region}" for cluster in wish.clusters}
        now = {f"{provider}/{region}": rows for (provider, region), rows in (await self.survey.offers(wish)).items()}
        return offers_moved(body, places, now)

    def _capabilities(self) -> Mapping[str, frozenset[str]]:
        return {provider: cloud.capabilities for provider, cloud in self.clouds.clouds.items()}

    def _read(self, sovereign: Sovereign, known: Known, wish: Wish, offers: Offers) -> Read:
        providers = [cluster.provider for cluster in wish.clusters]
        digests = {f"{p}/{region}": _digest(rows) for (p, region), rows in sorted(offers.items())}
        return Read(
            sovereign=sovereign.name,
            generation=sovereign.generation,
            ledger_revision=known.revision,
            currency=CURRENCY,
            held=known.held,
            installed=known.installed,
            module_digests=self.clouds.module_digests(providers),
            versions=self.clouds.versions(providers),
            offers_digests=digests,
        )

    async def _references(self, document: Document) -> list[Finding]:
        async with self._work.reading() as tx:
            return await references.findings(tx, document)

    async def _known(self, id: str) -> Known:
        async with self._work.reading() as tx:
            reservation = await tx.reservation(id)
            installed: dict[str, dict[str, str]] = {}
            for row in await tx.components(id):
                if row.release is not None:
                    installed.setdefault(row.cluster, {})[row.name] = row.release.version or row.wished_version
            return Known(
                {row.name: row for row in await tx.clusters(id)},
                tuple(await tx.entries(id)),
                installed,
                await tx.ledger_revision(id),
                reservation is not None and reservation.state in ("reserved", "committed"),
                "delegated" in await tx.facts(id),
            )


def numbered(wish: Wish, known: Mapping[str, ClusterRow]) -> Mapping[str, int]:
    """The index of each cluster: what it has, or the lowest that is free."""
    numbers = {name: row.number for name, row in known.items()}
    for cluster in wish.clusters:
        if cluster.name not in numbers:
            numbers[cluster.name] = cidrs.next_index(numbers.values())
    return numbers


def _digest(offers: Sequence[Offer]) -> str:
    """Over what is sold and for how much; how many are left moves all the time."""
    rows = sorted(json.dumps(asdict(o) | {"stock": o.stock is None or o.stock > 0}, sort_keys=True) for o in offers)
    return "sha256:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _is_applied(sovereign: Sovereign, document: Document) -> bool:
    return sovereign.applied_generation == sovereign.generation and sovereign.spec == document


def _given(known: Known, adopted: Mapping[str, Mapping[str, Sequence[str]]], cluster: str) -> Mapping[str, Adopted]:
    """What is given to a cluster now, else what was."""
    if cluster not in adopted:
        return known.adopted(cluster)
    return {address: Adopted(*pair) for address, pair in adopted[cluster].items()}


def _handed_at_the_end(wish: Wish, known: Known) -> tuple[str, ...]:
    """Clusters that Crossplane is to get and does not keep yet."""
    kept = {entry.cluster for entry in known.entries if entry.manager == claims.CROSSPLANE}
    return tuple(cluster.name for cluster in wish.clusters if cluster.name not in kept) if wish.hand_off else ()


def _restarting(deed: Deed, known: Known) -> list[dict[str, Any]]:
    if deed.verb != tending.REBOOT:
        return []
    planes = tending.plane_of(deed.plain(), known.nodes(deed.cluster))
    return risks.of_restart(deed.cluster, deed.node, planes)


def _moves(infra: Mapping[str, InfraPlan]) -> set[str]:
    """Clusters of which something would change at their cloud."""
    return {name for name, plan in infra.items() if any(c.action is not Action.NO_OP for c in plan.changes)}


def _found(wish: Wish, offers: Offers, finding: Finding) -> Found:
    cluster = sizing.cluster_at(wish, finding.path)
    return Found(finding, cluster.name if cluster else "", sizing.alternatives(wish, offers, finding))


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return sorted(findings, key=lambda f: (order[f.severity], f.code, f.path))
