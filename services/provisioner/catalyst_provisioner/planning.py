"""Reading what a plan is made from: clouds, catalog, names and the ledger. Changes none of them."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2 as pooldomain
from catalyst_mesh import Work
from catalyst_sdk import PluginFailure, SecretRef, Violation
from catalyst_sdk.cloud import Finding, InfraPlan, Offer, OfferQuery, Severity

from .clouds import CloudPlugins
from .domain import cidrs, layouts, plans, rules, sizing, wishes
from .domain.locks import Lock
from .domain.plans import Held, Read
from .domain.reference import Reference
from .domain.requests import cluster_request
from .domain.rules import IsPublicSuffix, SpecInvalid
from .domain.sovereigns import Sovereign
from .domain.wishes import Cluster, Document, Wish
from .peers import Catalog, Choice, Names, NamesUnavailable, SaidNo
from .store import ClusterRow, Entry, Store
from .vault import Vault
from .workspaces import Place, ReadingWorkspace

PATIENCE = timedelta(seconds=60)
CURRENCY = "EUR"
Offers = Mapping[tuple[str, str], Sequence[Offer]]


@dataclass(frozen=True, slots=True)
class Known:
    """What our own tables hold of a Sovereign."""

    clusters: Mapping[str, ClusterRow]
    entries: tuple[Entry, ...]
    installed: Mapping[str, Mapping[str, str]]
    revision: int
    holds_name: bool


class Planner:
    """Makes plans, in the contract's JSON form."""

    def __init__(
        self, work: Work[Store], vault: Vault, clouds: CloudPlugins, catalog: Catalog, names: Names,
        reference: Reference, is_public_suffix: IsPublicSuffix,
    ) -> None:  # fmt: skip
        self._work = work
        self._vault = vault
        self.clouds = clouds
        self.catalog = catalog
        self._names = names
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
            raise SpecInvalid(_component_violations(no, choice)) from no

    async def apply(self, sovereign: Sovereign, document: Document) -> dict[str, Any]:
        """A plan that makes `document` true."""
        wish = self.wish(document)
        known = await self._known(sovereign.id)
        lock = await self._lock(wish)
        offers = await self._offers(wish)
        infra, found = await self._infra(sovereign, wish, known)
        findings = [*found, *await self._name(wish, known), *sizing.findings(wish, offers, self.reference)]
        findings += [*_ranges(wish, known, self.reference), *_dropped(wish, known)]
        read = _read(sovereign, known, (), offers)
        draft = plans.apply(read, document, wish, lock, infra, spec_applied=_is_applied(sovereign, document))
        month = int(draft["cost"]["after"]["total"]["month"]["minor"])
        findings += plans.budget_findings(wish, month, CURRENCY, self.reference.warn_at, self.reference.block_at)
        return plans.apply(
            _read(sovereign, known, tuple(_sorted(findings)), offers), document, wish, lock, infra,
            spec_applied=_is_applied(sovereign, document), exposed=wish.api_public,
        )  # fmt: skip

    async def destroy(self, sovereign: Sovereign, keep: Sequence[str]) -> dict[str, Any]:
        """A plan that takes everything away."""
        known = await self._known(sovereign.id)
        read = _read(sovereign, known, (), {})
        return plans.destroy(read, sovereign.spec, list(known.clusters), keep)

    async def lock_digest(self, document: Document) -> str:
        """Digest of the lock that the catalog would give now."""
        return (await self._lock(self.wish(document))).digest

    async def moved_offers(self, body: Mapping[str, Any]) -> list[str]:
        """Whether prices or what is sold changed since a plan was made."""
        now = await self._offers(self.wish(body["spec"]))
        digests = {f"{provider}/{region}": _digest(rows) for (provider, region), rows in now.items()}
        return ["offers"] if digests != body["inputs"]["offers_digests"] else []

    async def findings(self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int) -> Sequence[Finding]:
        """What a cloud has against a cluster: its credential, quota, stock, names."""
        plugin, credential = self.clouds.get(cluster.provider), SecretRef(cluster.credential)
        path = f"spec.clusters[{wish.clusters.index(cluster)}]"
        report = await plugin.check_credential(needed=("read", "write"), credential=credential)
        if not report.valid:
            code = "auth.read_only" if report.missing == ("write",) else "auth.rejected"
            text = report.message or "the credential is not accepted"
            return [Finding(code, Severity.ERROR, f"{path}.credential", text, "give another credential")]
        request = cluster_request(sovereign, wish, cluster, number, self.reference)
        found = await plugin.preflight(request=request, credential=credential)
        return [_under(path, one) for one in found]

    async def _lock(self, wish: Wish) -> Lock:
        try:
            return await self.catalog.lock(_choice(wish))
        except SaidNo as no:
            raise SpecInvalid(_component_violations(no, _choice(wish))) from no

    async def _infra(
        self, sovereign: Sovereign, wish: Wish, known: Known
    ) -> tuple[Mapping[str, InfraPlan], list[Finding]]:
        numbers = numbered(wish, known.clusters)
        found = await asyncio.gather(*(self._one(sovereign, wish, c, numbers[c.name]) for c in wish.clusters))
        infra = {c.name: plan for c, (plan, _) in zip(wish.clusters, found, strict=True) if plan is not None}
        return infra, [finding for _, findings in found for finding in findings]

    async def _one(
        self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int
    ) -> tuple[InfraPlan | None, Sequence[Finding]]:
        request = cluster_request(sovereign, wish, cluster, number, self.reference)
        async with self._work.reading() as tx:
            deadline = tx.now + PATIENCE
        place = Place(sovereign.id, cluster.name, cluster.provider, cluster.credential)
        try:
            findings = await self.findings(sovereign, wish, cluster, number)
            if any(f.code.startswith("auth.") for f in findings):
                return None, findings
            work = ReadingWorkspace(self._work, self._vault, place, deadline)
            return await self.clouds.get(cluster.provider).plan(request=request, work=work), findings
        except PluginFailure as failure:
            path = f"spec.clusters[{wish.clusters.index(cluster)}]"
            remedy = failure.user_action or "look at the cloud, plan again"
            return None, [Finding(_code(failure), Severity.ERROR, path, failure.message, remedy)]

    async def _offers(self, wish: Wish) -> Offers:
        wanted = {(c.provider, c.region): c.credential for c in wish.clusters}

        async def one(provider: str, region: str, credential: str) -> Sequence[Offer]:
            query = OfferQuery(region=region)
            try:
                return await self.clouds.get(provider).offers(query=query, credential=SecretRef(credential))
            except PluginFailure:  # the same trouble is a finding of the cluster's own plan
                return ()

        answers = await asyncio.gather(*(one(*place, credential) for place, credential in wanted.items()))
        return dict(zip(wanted, answers, strict=True))

    async def _name(self, wish: Wish, known: Known) -> list[Finding]:
        if wish.mode != "pool":
            text = "own domains are not delegated by this release"
            return [Finding("dns.not_delegated", Severity.ERROR, "spec.domain.mode", text, "take a name of a pool")]
        if known.holds_name:
            return []
        answer = await self._names.check(wish.pool, wish.label)
        if answer.available or await self._rests_for_us(wish):
            return []
        code = {"NAME_TAKEN": "name.taken", "LABEL_RESERVED": "name.reserved"}.get(answer.reason, "name.taken")
        text = answer.detail or f"{wish.fqdn} is not available"
        return [
            Finding(code, Severity.ERROR, "spec.domain.label", text, "take another label", {"reason": answer.reason})
        ]

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
            )


def numbered(wish: Wish, known: Mapping[str, ClusterRow]) -> Mapping[str, int]:
    """The index of each cluster: what it has, or the lowest that is free."""
    numbers = {name: row.number for name, row in known.items()}
    for cluster in wish.clusters:
        if cluster.name not in numbers:
            numbers[cluster.name] = cidrs.next_index(numbers.values())
    return numbers


def _read(sovereign: Sovereign, known: Known, findings: tuple[Finding, ...], offers: Offers) -> Read:
    return Read(
        sovereign=sovereign.name,
        generation=sovereign.generation,
        ledger_revision=known.revision,
        currency=CURRENCY,
        held=tuple(Held(entry.cluster, entry.row) for entry in known.entries),
        installed=known.installed,
        findings=findings,
        offers_digests={f"{provider}/{region}": _digest(rows) for (provider, region), rows in sorted(offers.items())},
    )


def _digest(offers: Sequence[Offer]) -> str:
    """Over what is sold and for how much; how many are left moves all the time."""
    rows = sorted(json.dumps(asdict(o) | {"stock": o.stock is None or o.stock > 0}, sort_keys=True) for o in offers)
    return "sha256:" + hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _is_applied(sovereign: Sovereign, document: Document) -> bool:
    return sovereign.applied_generation == sovereign.generation and sovereign.spec == document


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
    return {"AUTH": "auth.rejected", "QUOTA": "quota.servers", "CAPACITY": "capacity.size"}.get(
        reason, f"cloud.{reason.lower()}"
    )


def _under(path: str, one: Finding) -> Finding:
    inner = f"{path}.{one.path}" if one.path else path
    return Finding(one.code, one.severity, inner, one.message, one.remedy, one.metadata)


def _ranges(wish: Wish, known: Known, reference: Reference) -> list[Finding]:
    numbers = numbered(wish, known.clusters)
    own = {c.name: cidrs.ranges(reference.cidrs, numbers[c.name]) for c in wish.clusters}
    return [
        Finding("cidr.overlap", Severity.ERROR, "spec.network.reserved_cidrs", f"{name} has {range}, which touches {kept}",
                "reserve another range")
        for name, range, kept in cidrs.conflicts(own, wish.reserved_cidrs)
    ]  # fmt: skip


def _dropped(wish: Wish, known: Known) -> list[Finding]:
    names = {cluster.name for cluster in wish.clusters}
    return [
        Finding("cluster.removal", Severity.ERROR, "spec.clusters", f"{name} would go; clusters are not removed one by one",
                "keep it, or destroy the Sovereign")
        for name in known.clusters.keys() - names
    ]  # fmt: skip


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return sorted(findings, key=lambda f: (order[f.severity], f.code, f.path))
