"""Asking clouds: what they sell, what they have against a cluster, and what they would do for it. Changes nothing there."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from catalyst_mesh import Work
from catalyst_sdk import PluginFailure, SecretRef
from catalyst_sdk.cloud import Adopted, CredentialReport, Finding, InfraPlan, Offer, OfferQuery, Severity

from .clouds import CloudPlugins
from .domain.reference import Reference
from .domain.requests import cluster_request
from .domain.sizing import Offers
from .domain.sovereign import Sovereign
from .domain.wishes import Cluster, Wish
from .store import Store
from .vault import Vault
from .workspaces import Place, ReadingWorkspace

PATIENCE = timedelta(seconds=60)


class Survey:
    """Reads from the clouds that are loaded."""

    def __init__(self, work: Work[Store], vault: Vault, clouds: CloudPlugins, reference: Reference) -> None:
        self._work = work
        self._vault = vault
        self._clouds = clouds
        self._reference = reference

    async def offers(self, wish: Wish) -> Offers:
        """What is sold where the wish wants to be; a cloud that could not be asked is absent."""
        wanted = {(c.provider, c.region): c.credential for c in wish.clusters}

        async def one(provider: str, region: str, credential: str) -> Sequence[Offer] | None:
            query = OfferQuery(region=region)
            try:
                return await self._clouds.get(provider).offers(query=query, credential=SecretRef(credential))
            except PluginFailure:  # the same trouble is a finding of the cluster's own plan
                return None

        answers = await asyncio.gather(*(one(*place, credential) for place, credential in wanted.items()))
        return {place: rows for place, rows in zip(wanted, answers, strict=True) if rows is not None}

    async def plans(
        self, sovereign: Sovereign, wish: Wish, numbers: Mapping[str, int], adopted: Mapping[str, Mapping[str, Adopted]],
        anew: Mapping[str, Mapping[str, str]],
    ) -> tuple[Mapping[str, InfraPlan], list[Finding]]:  # fmt: skip
        """What each cloud would do, by cluster, and what it has against it.

        numbers   index of each cluster
        adopted   what was given to each of them
        anew      name and id of servers that end and are made anew
        """
        found = await asyncio.gather(
            *(
                self.plan(sovereign, wish, c, numbers[c.name], adopted.get(c.name, {}), anew.get(c.name, {}))
                for c in wish.clusters
            )
        )
        infra = {c.name: plan for c, (plan, _) in zip(wish.clusters, found, strict=True) if plan is not None}
        return infra, [finding for _, findings in found for finding in findings]

    async def plan(
        self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int, adopted: Mapping[str, Adopted],
        anew: Mapping[str, str] | None = None,
    ) -> tuple[InfraPlan | None, Sequence[Finding]]:  # fmt: skip
        """What the cloud of one cluster would do, None where it cannot say; and what it has against it."""
        request = cluster_request(sovereign, wish, cluster, number, self._reference, adopted, anew)
        async with self._work.reading() as tx:
            deadline = tx.now + PATIENCE
        place = Place(sovereign.id, cluster.name, cluster.provider, cluster.credential)
        try:
            findings = await self.findings(sovereign, wish, cluster, number, adopted)
            if any(f.code.startswith("auth.") for f in findings):
                return None, findings
            work = ReadingWorkspace(self._work, self._vault, place, deadline)
            plan = await self._clouds.get(cluster.provider).plan(request=request, work=work)
            path = f"spec.clusters[{wish.clusters.index(cluster)}]"
            return plan, [*findings, *(under(path, one) for one in plan.findings)]
        except PluginFailure as failure:
            path = f"spec.clusters[{wish.clusters.index(cluster)}]"
            path += ".credential" if _code(failure) == "auth.rejected" else ""
            code = _code(failure)
            usual = (
                "tell its author; the daemon's log has it whole"
                if code == "plugin.bug"
                else "look at the cloud, plan again"
            )
            remedy = failure.user_action or usual
            return None, [Finding(code, Severity.ERROR, path, failure.message, remedy)]

    async def findings(
        self, sovereign: Sovereign, wish: Wish, cluster: Cluster, number: int, adopted: Mapping[str, Adopted]
    ) -> Sequence[Finding]:
        """What a cloud has against a cluster: its credential, quota, stock, names."""
        plugin, credential = self._clouds.get(cluster.provider), SecretRef(cluster.credential)
        path = f"spec.clusters[{wish.clusters.index(cluster)}]"
        report = await plugin.check_credential(needed=("read", "write"), credential=credential)
        if not report.valid:
            text = report.message or "the credential is not accepted"
            metadata = {"missing": ", ".join(report.missing)}
            remedy = "give another credential"
            return [Finding(_auth(report), Severity.ERROR, f"{path}.credential", text, remedy, metadata)]
        request = cluster_request(sovereign, wish, cluster, number, self._reference, adopted)
        found = await plugin.preflight(request=request, credential=credential)
        return [under(path, one) for one in found]


def _code(failure: PluginFailure) -> str:
    reason = str(getattr(failure, "reason", "")) or type(failure).__name__
    known = {
        "AUTH": "auth.rejected",
        "SECRET_NOT_FOUND": "auth.rejected",
        "QUOTA": "quota.servers",
        "CAPACITY": "capacity.size",
        "PluginBug": "plugin.bug",
    }
    return known.get(reason, f"cloud.{reason.lower()}")


def _auth(report: CredentialReport) -> str:
    if report.missing == ("write",):
        return "auth.read_only"
    return "auth.scope" if report.granted else "auth.rejected"


def under(path: str, one: Finding) -> Finding:
    """The finding, seen from the whole document."""
    inner = f"{path}.{one.path}" if one.path else path
    return Finding(one.code, one.severity, inner, one.message, one.remedy, one.metadata)
