"""Looks at the world that change nothing in it: at drift, and at what a credential may do."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from catalyst_mesh.journal import Context
from catalyst_sdk import PluginFailure, SecretRef

from ..chronicle import DRIFT
from ..domain import credentials, drifts, facts
from ..domain.naming import CLUSTER_LABEL, sweep_labels
from ..domain.requests import cluster_request
from ..domain.sovereign import Sovereign
from ..store import ClusterRow, Store
from ..workspaces import Place, ReadingWorkspace
from .tools import Tools

Found = tuple[list[dict[str, Any]], list[str]]
"""Differences, and what could not be asked."""


class Looking:
    """Steps of runs that only look."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def drift(self, ctx: Context) -> Any:
        """Compare cloud, tree and DNS with what was applied, and keep the report."""
        sovereign, started = await self._t.sovereign(ctx), ctx.now()
        async with self._t.work.reading() as tx:
            rows = [row for row in await tx.clusters(sovereign.id) if _asked(ctx, row)]
        found, unreachable = await self._clouds(sovereign, rows, ctx.deadline or ctx.now() + timedelta(minutes=10))
        if not ctx.input["clusters"]:
            beside, silent = await self._beside(sovereign)
            found, unreachable = [*found, *beside], [*unreachable, *silent]
        report = drifts.report(
            sovereign.name, started=_text(started), ended=_text(ctx.now()), generation=sovereign.applied_generation,
            found=found, unreachable=unreachable,
        )  # fmt: skip

        async def keep(tx: Store) -> None:
            held = await tx.lock(sovereign.id)
            await tx.observe(sovereign.id, DRIFT, report)
            if held is not None and found:
                after = held.told(tx.now)
                await tx.save(after)
                tx.emit(facts.DriftDetected(after, report, ""))

        await self._t.work.again(keep)
        return report

    async def check(self, ctx: Context) -> Any:
        """Ask the provider what the newest version may do; a silent provider leaves it unknown."""
        async with self._t.work.reading() as tx:
            held = await tx.credential_record(ctx.input["credential"])
        if held is None:
            return {}
        said = await self._said(ctx, held)

        async def keep(tx: Store) -> None:
            now_held = await tx.credential_record(held.id)
            if now_held is not None:
                decided = credentials.checked(now_held, said, await tx.users_of(held.name), tx.now)
                await tx.save(decided.state)
                tx.emit(*decided.events)

        await self._t.work.again(keep)
        return said

    async def _said(self, ctx: Context, held: credentials.Credential) -> dict[str, Any]:
        said: dict[str, Any] = {"credential_version": held.newest, "check_time": _text(ctx.now()), "missing": []}
        plugin = self._t.planner.clouds.get(held.provider)
        try:
            report = await plugin.check_credential(
                needed=tuple(ctx.input["needed"]), credential=SecretRef(held.name, str(held.newest))
            )
        except PluginFailure as failure:
            return said | {"state": credentials.UNKNOWN, "message": failure.message, "remedy": "check it again later"}
        state = credentials.verdict(valid=report.valid, granted=report.granted, missing=report.missing)
        return said | {
            "state": state,
            "rights": list(report.granted),
            "missing": list(report.missing),
            "message": report.message,
            "remedy": "" if state == credentials.VALID else "add a version that may do it",
            **({"expire_time": _text(report.expires_at)} if report.expires_at else {}),
        }

    async def _clouds(self, sovereign: Sovereign, rows: list[ClusterRow], deadline: datetime) -> Found:
        wish = self._t.planner.wish(sovereign.spec)
        wished = {cluster.name: cluster for cluster in wish.clusters}
        found: list[dict[str, Any]] = []
        unreachable: list[str] = []
        for row in rows:
            plugin = self._t.planner.clouds.get(row.provider)
            work = ReadingWorkspace(
                self._t.work, self._t.vault, Place(row.sovereign, row.name, row.provider, row.credential), deadline
            )
            try:
                request = cluster_request(
                    sovereign, wish, wished[row.name], row.number, self._t.planner.reference, row.adopted
                )
                plan = await plugin.plan(request=request, work=work)
                labels = {**sweep_labels(sovereign.uid), CLUSTER_LABEL: row.name}
                there = await plugin.discover(labels=labels, credential=SecretRef(row.credential))
            except (PluginFailure, KeyError) as failure:
                unreachable.append(f"{row.name}: {failure}")
                continue
            found += drifts.of_changes(row.name, plan.changes)
            ids = [entry.id for entry in await work.rows()]
            found += drifts.unexpected(CLUSTER_LABEL, there, ids, [change.name for change in plan.changes])
        return found, unreachable

    async def _beside(self, sovereign: Sovereign) -> Found:
        """The head of the tree, and where the name leads."""
        async with self._t.work.reading() as tx:
            seen, held = await tx.facts(sovereign.id), await tx.reservation(sovereign.id)
        found = []
        if "tree" in seen:
            newest = await asyncio.to_thread(self._t.repositories.head, sovereign.id)
            head = newest[0] if newest else ""
            if head != seen["tree"][0]:
                text = "the head of the tree is not the commit of the last run"
                found.append(drifts.elsewhere("tree", "main", seen["tree"][0], head, text))
        if held is not None and "dns_ready" in seen:
            allocation = await self._t.names.get(held.allocation)
            now = sorted([t.slot, t.address] for t in allocation.targets) if allocation else []
            if now != sorted(seen["dns_ready"][0]):
                text = "the name leads elsewhere"
                found.append(drifts.elsewhere("dns", held.allocation, seen["dns_ready"][0], now, text))
        return found, []


def _asked(ctx: Context, row: ClusterRow) -> bool:
    return not ctx.input["clusters"] or row.name in ctx.input["clusters"]


def _text(moment: datetime) -> str:
    return f"{moment:%FT%T.%fZ}"
