"""Reading what a plan is made from: clouds, catalog, names and the ledger. Changes none of them."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst_mesh import Work
from catalyst_sdk import PluginFailure, SecretRef, Violation
from catalyst_sdk.cloud import Action, Adopted, CredentialReport, Finding, InfraPlan, Offer, OfferQuery, Severity

from .clouds import CloudPlugins
from .domain import adoptions, cidrs, layouts, plans, rules, sizing, upgrades, wishes
from .domain.locks import Lock
from .domain.plans import Found, Held, Read, Wanted
from .domain.reference import Reference
from .domain.requests import cluster_request
from .domain.rules import IsPublicSuffix, SpecInvalid
from .domain.sizing import Offers
from .domain.sovereigns import Sovereign
from .domain.staleness import Present, offers_moved
from .domain.wishes import Cluster, Document, Wish
from .peers import Catalog, Choice, Names, NamesUnavailable, SaidNo, Selected
from .store import ClusterRow, Entry, Store
from .vault import Vault
from .workspaces import Place, ReadingWorkspace
from .zones import Zones

PATIENCE = timedelta(seconds=60)
CURRENCY = "EUR"
CROSSPLANE = "bp-crossplane"


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
        zones: Zones, reference: Reference, is_public_suffix: IsPublicSuffix,
    ) -> None:  # fmt: skip
        self._work = work
        self._vault = vault
        self.clouds = clouds
        self.catalog = catalog
        self._names = names
        self._zones = zones
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
        """Raises SpecInvalid for a pool that is not known, or a name of one's own in a pool.

        Each plan looks again, so that nobody waits here for a pool domain manager that does not answer.
        """
        try:
            pools = await self._names.pools()
        except NamesUnavailable:
            return
        if wrong := rules.under_a_pool(document, pools):
            raise SpecInvalid(wrong)

    async def check_components(self, document: Document) -> None:
        """Raises SpecInvalid for components that the catalog does not know or does not let go."""
        choice = _choice(self.wish(document))
        if choice == Choice():
            return
        try:
            await self.catalog.select(choice)
        except SaidNo as no:
            if no.said.reason not in _FOUND:
                raise SpecInvalid(_component_violations(no, choice)) from no

    async def apply(
        self, sovereign: Sovereign, document: Document, *, intent: str = plans.APPLY,
        adopted: Mapping[str, Mapping[str, Sequence[str]]] | None = None, found: Sequence[Finding] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """A plan that makes `document` true.

        adopted   name and id of what is given to a cluster, by address, by cluster
        found     what stands against it already
        """
        wish = self.wish(document)
        known = await self._known(sovereign.id)
        lock, chosen = await self._chosen(wish, known, newest=intent == plans.UPGRADE)
        rising, stairs = upgrades.of(wish, known.k3s)
        offers = await self._offers(wish)
        infra, of_clouds = await self._infra(sovereign, wish, known, adopted or {})
        names = {cluster.name for cluster in wish.clusters}
        wanted = Wanted(document, wish, lock, infra, _is_applied(sovereign, document),
                        tuple(name for name in known.clusters if name not in names), rising)  # fmt: skip
        read = self._read(sovereign, known, wish, offers)
        month = int(plans.cost_of(read, infra)["after"]["total"]["month"]["minor"])
        found = [
            *found,
            *chosen,
            *stairs,
            *of_clouds,
            *await self._name(wish, known),
            *_ranges(wish, known, self.reference),
        ]
        found += sizing.findings(wish, offers, self.reference, self._capabilities(), numbered(wish, known.clusters))
        found += plans.budget_findings(wish, month, CURRENCY, self.reference.warn_at, self.reference.block_at)
        moving = _moves(infra) | set(wanted.removed)
        found += [_crossplanes(name, "a plan changes nothing of it") for name in plans.given_away(read, moving)]
        shown = [_found(wish, offers, finding) for finding in _sorted(found)]
        return plans.apply(read, wanted, shown, intent=intent, more={"adopted": adopted} if adopted else {})

    async def adopt(
        self, sovereign: Sovereign, document: Document, labels: Mapping[str, str], ids: Sequence[str]
    ) -> dict[str, Any]:
        """A plan that takes over what is there: what its labels and ids find is imported, and nothing is replaced."""
        wish, known = self.wish(document), await self._known(sovereign.id)
        numbers = numbered(wish, known.clusters)
        given: dict[str, Mapping[str, Adopted]] = {}
        found: list[Finding] = []
        for cluster in wish.clusters:
            place = f"spec.clusters[{wish.clusters.index(cluster)}]"
            if adoptions.CAPABILITY not in self.clouds.clouds[cluster.provider].capabilities:
                text = f"{cluster.provider} adopts nothing"
                found.append(Finding("plugin.capability_missing", Severity.ERROR, place, text, "make it anew"))
                continue
            before, more = known.adopted(cluster.name), numbers[cluster.name]
            first, _ = await self._one(sovereign, wish, cluster, more, before)
            if first is None:  # the plan below says why
                continue
            there = await self.clouds.get(cluster.provider).discover(
                labels=labels, credential=SecretRef(cluster.credential)
            )
            wanted = [r for r in there if r.region == cluster.region and (not ids or r.id in ids)]
            others = adoptions.foreign(wanted, sovereign.uid)
            fresh = adoptions.assign(first.changes, [r for r in wanted if r not in others])
            given[cluster.name] = {**before, **fresh.adopted}
            second, _ = await self._one(sovereign, wish, cluster, more, given[cluster.name])
            found += [_under(place, f) for f in adoptions.findings(fresh, second or first, others)]
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
        found = [Found(_crossplanes(name, "a destroy deletes nothing of it"), name) for name in given]
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
            if CROSSPLANE not in known.installed.get(name, {}):
                text = f"{CROSSPLANE} is not installed in {name}, and nobody would keep its resources"
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
        lock, _ = await self._chosen(wish, known, newest=body["intent"] == plans.UPGRADE)
        return replace(
            made, lock_digest=lock.digest, versions=self.clouds.versions(providers),
            module_digests=self.clouds.module_digests(providers),
        )  # fmt: skip

    async def offers_moved(self, body: Mapping[str, Any]) -> bool:
        """Whether what is sold now lets a plan down."""
        if body["intent"] in (plans.DESTROY, plans.HAND_OFF):
            return False
        wish = self.wish(body["spec"])
        places = {cluster.name: f"{cluster.provider}/{cluster.region}" for cluster in wish.clusters}
        now = {f"{provider}/{region}": rows for (provider, region), rows in (await self._offers(wish)).items()}
        return offers_moved(body, places, now)

    async def findings(
        self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int, adopted: Mapping[str, Adopted]
    ) -> Sequence[Finding]:
        """What a cloud has against a cluster: its credential, quota, stock, names."""
        plugin, credential = self.clouds.get(cluster.provider), SecretRef(cluster.credential)
        path = f"spec.clusters[{wish.clusters.index(cluster)}]"
        report = await plugin.check_credential(needed=("read", "write"), credential=credential)
        if not report.valid:
            text = report.message or "the credential is not accepted"
            metadata = {"missing": ", ".join(report.missing)}
            remedy = "give another credential"
            return [Finding(_auth(report), Severity.ERROR, f"{path}.credential", text, remedy, metadata)]
        request = cluster_request(sovereign, wish, cluster, number, self.reference, adopted)
        found = await plugin.preflight(request=request, credential=credential)
        return [_under(path, one) for one in found]

    async def _chosen(self, wish: Wish, known: Known, *, newest: bool) -> tuple[Lock, list[Finding]]:
        """The lock, and what the catalog has against it; an empty one where it can make none. Raises SpecInvalid."""
        choice = _choice(wish)
        try:
            lock, selected = await self.catalog.lock(choice, known.versions, newest=newest)
            found = [*_selection_findings(wish, selected), *await self._values(wish, lock)]
        except SaidNo as no:
            if no.said.reason not in _FOUND:
                raise SpecInvalid(_component_violations(no, choice)) from no
            text, path = no.said.message, _component_violations(no, choice)[0].field
            return Lock("", ()), [Finding(_FOUND[no.said.reason], Severity.ERROR, path, text, "choose others")]
        if wish.release_digest and wish.release_digest.removeprefix("sha256:") != lock.digest.removeprefix("sha256:"):
            text = f"the catalog's lock is {lock.digest}, not the pinned {wish.release_digest}"
            remedy = "leave the digest out, or wait for that release"
            found.append(Finding("release.digest", Severity.ERROR, "spec.release.digest", text, remedy))
        return lock, found

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
            for violation in await self.catalog.faults(name, versions[name], values):
                where = f"{path}{violation.field.replace('/', '.')}" if violation.field.startswith("/") else path
                text = violation.description
                found.append(Finding("component.values", Severity.ERROR, where, text, "see the Blueprint's schema"))
        return found

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

    async def _infra(
        self, sovereign: Sovereign, wish: Wish, known: Known, given: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> tuple[Mapping[str, InfraPlan], list[Finding]]:
        numbers = numbered(wish, known.clusters)

        def adopted(name: str) -> Mapping[str, Adopted]:
            return {a: Adopted(*pair) for a, pair in given[name].items()} if name in given else known.adopted(name)

        found = await asyncio.gather(
            *(self._one(sovereign, wish, c, numbers[c.name], adopted(c.name)) for c in wish.clusters)
        )
        infra = {c.name: plan for c, (plan, _) in zip(wish.clusters, found, strict=True) if plan is not None}
        return infra, [finding for _, findings in found for finding in findings]

    async def _one(
        self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int, adopted: Mapping[str, Adopted]
    ) -> tuple[InfraPlan | None, Sequence[Finding]]:
        request = cluster_request(sovereign, wish, cluster, number, self.reference, adopted)
        async with self._work.reading() as tx:
            deadline = tx.now + PATIENCE
        place = Place(sovereign.id, cluster.name, cluster.provider, cluster.credential)
        try:
            findings = await self.findings(sovereign, wish, cluster, number, adopted)
            if any(f.code.startswith("auth.") for f in findings):
                return None, findings
            work = ReadingWorkspace(self._work, self._vault, place, deadline)
            plan = await self.clouds.get(cluster.provider).plan(request=request, work=work)
            path = f"spec.clusters[{wish.clusters.index(cluster)}]"
            return plan, [*findings, *(_under(path, one) for one in plan.findings)]
        except PluginFailure as failure:
            path = f"spec.clusters[{wish.clusters.index(cluster)}]"
            path += ".credential" if _code(failure) == "auth.rejected" else ""
            remedy = failure.user_action or "look at the cloud, plan again"
            return None, [Finding(_code(failure), Severity.ERROR, path, failure.message, remedy)]

    async def _offers(self, wish: Wish) -> Offers:
        wanted = {(c.provider, c.region): c.credential for c in wish.clusters}

        async def one(provider: str, region: str, credential: str) -> Sequence[Offer] | None:
            query = OfferQuery(region=region)
            try:
                return await self.clouds.get(provider).offers(query=query, credential=SecretRef(credential))
            except PluginFailure:  # the same trouble is a finding of the cluster's own plan
                return None

        answers = await asyncio.gather(*(one(*place, credential) for place, credential in wanted.items()))
        return {place: rows for place, rows in zip(wanted, answers, strict=True) if rows is not None}

    async def _name(self, wish: Wish, known: Known) -> list[Finding]:
        if wish.mode != "pool":
            return await self._own_name(wish, known)
        if known.holds_name:
            return []
        try:
            answer = await self._names.check(wish.pool, wish.label)
        except SaidNo as no:
            text, remedy = no.said.message, "take a pool that there is"
            return [Finding("name.unknown_pool", Severity.ERROR, "spec.domain.pool", text, remedy)]
        if answer.available or await self._rests_for_us(wish):
            return []
        code = {"NAME_TAKEN": "name.taken", "LABEL_RESERVED": "name.reserved"}.get(answer.reason, "name.taken")
        text = answer.detail or f"{wish.fqdn} is not available"
        return [
            Finding(code, Severity.ERROR, "spec.domain.label", text, "take another label", {"reason": answer.reason})
        ]

    async def _own_name(self, wish: Wish, known: Known) -> list[Finding]:
        path = "spec.domain.fqdn"
        zone = await self._zones.get(wish.fqdn)
        if zone is not None and zone.owner != f"organizations/{wish.organization}":
            text = f"{wish.fqdn} is served for another Organization"
            return [Finding("fqdn.taken", Severity.ERROR, path, text, "take another name")]
        if known.is_delegated:
            return []
        if wish.registrar_account:
            text = f"{wish.fqdn} will be delegated through {wish.registrar_account}"
            return [Finding("dns.not_delegated", Severity.INFO, path, text, "")]
        text = f"{wish.fqdn} is not delegated to us yet; the run shows the name servers and waits"
        remedy = "enter them at the domain's registrar, or in its parent zone"
        return [Finding("dns.not_delegated", Severity.WARNING, path, text, remedy)]

    async def _rests_for_us(self, wish: Wish) -> bool:
        """Whether the name rests after a life with the same Organization, which may take it back at once."""
        held = await self._names.get(f"pools/{wish.pool}/allocations/{wish.label}")
        resting = pooldomain.Allocation.STATE_QUARANTINED
        return held is not None and held.state == resting and held.owner == f"organizations/{wish.organization}"

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


def _moves(infra: Mapping[str, InfraPlan]) -> set[str]:
    """Clusters of which something would change at their cloud."""
    return {name for name, plan in infra.items() if any(c.action is not Action.NO_OP for c in plan.changes)}


def _crossplanes(cluster: str, what: str) -> Finding:
    text = f"{cluster} was handed to Crossplane; {what}"
    remedy = "take it back first: a plan HAND_OFF with roll_back"
    return Finding("handoff.crossplane_keeps", Severity.ERROR, "spec.clusters", text, remedy)


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


def _code(failure: PluginFailure) -> str:
    reason = str(getattr(failure, "reason", "")) or type(failure).__name__
    known = {
        "AUTH": "auth.rejected",
        "SECRET_NOT_FOUND": "auth.rejected",
        "QUOTA": "quota.servers",
        "CAPACITY": "capacity.size",
    }
    return known.get(reason, f"cloud.{reason.lower()}")


def _auth(report: CredentialReport) -> str:
    if report.missing == ("write",):
        return "auth.read_only"
    return "auth.scope" if report.granted else "auth.rejected"


def _under(path: str, one: Finding) -> Finding:
    inner = f"{path}.{one.path}" if one.path else path
    return Finding(one.code, one.severity, inner, one.message, one.remedy, one.metadata)


def _ranges(wish: Wish, known: Known, reference: Reference) -> list[Finding]:
    numbers = numbered(wish, known.clusters)
    own = {c.name: cidrs.ranges(reference.cidrs, numbers[c.name], wish.cidr_base) for c in wish.clusters}
    return [
        Finding("cidr.overlap", Severity.ERROR, "spec.network.reserved_cidrs", f"{name} has {range}, which touches {kept}",
                "reserve another range")
        for name, range, kept in cidrs.conflicts(own, wish.reserved_cidrs)
    ]  # fmt: skip


def _found(wish: Wish, offers: Offers, finding: Finding) -> Found:
    cluster = sizing.cluster_at(wish, finding.path)
    return Found(finding, cluster.name if cluster else "", sizing.alternatives(wish, offers, finding))


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


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return sorted(findings, key=lambda f: (order[f.severity], f.code, f.path))
