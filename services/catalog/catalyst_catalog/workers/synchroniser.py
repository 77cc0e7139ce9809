"""Keeps the catalogue in step with its sources: at the start, by interval, and when somebody wishes it.

One replica syncs a source at a time, under a lease; nothing is written before everything was read and inspected, and
then all of it in one transaction, so a death at any moment leaves the source as it was. What a replica has read that lost
the lease meanwhile is old: its fence refuses it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from time import monotonic

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginHost, PluginUnavailable, Work, get_logger
from catalyst_mesh.telemetry import DONE, FAILED, Backlog, reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Permanent, PluginFailure, SecretRef
from catalyst_sdk.source import Artifact, BlueprintSource, Location, Ref

from ..domain.artifacts import Kept, kept
from ..domain.inspection import Finding, Rejected, inspect
from ..domain.sightings import Known, Settled, Sighting
from ..domain.sources import Issue, Item, Source, failed, retry_at
from ..domain.syncing import settle
from ..domain.trust import UNASKED, Policy
from ..domain.universe import State
from ..metrics import CatalogMetrics
from ..store import Store
from .signatures import judge

KIND = "blueprint_source"
AT_ONCE = 8
"""Items that are fetched and inspected side by side."""
LOOK = 0.5
"""Seconds between two looks for a wish that another replica stored."""
FIRST_RETRY, LONGEST_RETRY = 5.0, 3600.0
"""Seconds until a source that could not be read is asked again; doubled each time."""


class Synchroniser:
    """Syncs every source when its time has come."""

    def __init__(self, *, work: Work[Store], plugins: PluginHost, leases: Leases, metrics: CatalogMetrics) -> None:
        self._work = work
        self._metrics = metrics
        self._plugins = plugins
        self._leases = leases
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._log = get_logger("synchroniser")
        self._backlog = Backlog("source")
        self.wake = asyncio.Event()
        """Set when a wish was stored by this replica."""

    async def run(self, stop: asyncio.Event) -> None:
        """Sync what is due until `stop`."""
        while not stop.is_set():
            self.wake.clear()
            async with self._work.reading() as tx:
                sources = await tx.sources()
            self._backlog.see(source.id for source in sources if self._is_due(source))
            for source in sources:
                if self._is_due(source) and not stop.is_set():
                    await self._sync_under_lease(source)
            await self._pause(stop)

    async def sync(self, source: Source, lease: Lease) -> Settled | None:
        """Read, inspect and settle one source; None where it could not be read or changed under our hands.

        Raises LeaseLost: another replica has synced it meanwhile, or does.
        """
        try:
            plugin = self._plugins.get(KIND, source.kind)
            at = Location(dict(source.config), SecretRef(source.secret_ref) if source.secret_ref else None)
            refs = [ref async for ref in listed(plugin, at)]
        except PluginUnavailable as refusal:
            await self._failed(source, "PLUGIN_UNAVAILABLE", refusal.sentence, lease)
            return None
        except PluginFailure as failure:
            reason = failure.reason if isinstance(failure, Permanent) else "SOURCE_UNREACHABLE"
            await self._failed(source, reason, failure.message, lease)
            return None
        fresh = await self._news(source, refs)
        if fresh is None:
            return Settled(source, 0)
        turns = asyncio.Semaphore(AT_ONCE)
        sightings = await asyncio.gather(*(_seen(plugin, at, ref, source.policy, turns) for ref in fresh))
        return await self._settle(source, sightings, [ref.path for ref in refs], lease)

    def _is_due(self, source: Source) -> bool:
        is_wished = source.observed < source.wished
        return source.enabled and (is_wished or monotonic() >= self._due.get(source.id, 0.0))

    async def _sync_under_lease(self, source: Source) -> None:
        async def work(lease: Lease) -> None:
            with reconciling("source") as one:
                settled = await self.sync(source, lease)
                one.result = FAILED if settled is None else DONE
            async with self._work.reading() as tx:
                self._metrics.quarantined.set(await tx.count(State.QUARANTINED))
            self._due[source.id] = monotonic() + await self._until_next(source, settled)

        try:
            await self._leases.attempt(f"sync/{source.id}", work)
        except (LostRace, LeaseLost) as lost:
            self._log.debug("source not settled", source=source.name, why=repr(lost))

    async def _until_next(self, source: Source, settled: Settled | None) -> float:
        """The interval give or take a tenth; sooner where the source, or one of its items, is to be tried again."""
        usual: float = source.interval.total_seconds() * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret
        if settled is None:
            tries = self._failures[source.id] = self._failures.get(source.id, 0) + 1
            return min(usual, float(FIRST_RETRY * 2 ** min(tries - 1, 10)), LONGEST_RETRY)
        self._failures.pop(source.id, None)
        async with self._work.reading() as tx:
            waiting = _waiting(await tx.items(source.id), await tx.issues(source.id))
            return min([usual, *(max((due - tx.now).total_seconds(), 0.0) for due in waiting.values())])

    async def _news(self, source: Source, refs: Sequence[Ref]) -> list[Ref] | None:
        """Items whose bytes are new or whose time has come; None where nothing at all differs from what is known."""
        async with self._work.reading() as tx:
            items, known = await tx.items(source.id), await tx.source(source.id)
            waiting, now = _waiting(items, await tx.issues(source.id)), tx.now
        is_answered = known is not None and not known.condition and known.observed == known.wished
        # Who wishes a sync wants everything tried; else each item keeps its pauses.
        early = {path for path, due in waiting.items() if due > now} if is_answered else set()
        fresh = [ref for ref in refs if _is_new(ref, items.get(ref.path)) and ref.path not in early]
        is_whole = items.keys() <= {ref.path for ref in refs} and not any(item.missed for item in items.values())
        return None if not fresh and is_whole and is_answered else fresh

    async def _settle(
        self, source: Source, sightings: Sequence[Sighting], present: Sequence[str], lease: Lease
    ) -> Settled | None:
        async def step(tx: Store) -> Settled | None:
            await lease.guard(tx.sql)
            known = await tx.known(source.id)
            if known is None or not _is_same(known.source, source):
                return None
            decision = settle(known, sightings, present, tx.now, answers=source.wished)
            if decision.events:
                await tx.save(decision.state)
                await tx.keep(_of_versions(known, decision.state, sightings))
                tx.emit(*decision.events)
            return decision.state

        settled = await self._work.again(step)
        if settled is not None:
            self._log.debug("source synced", source=source.name, items=len(settled.items), issues=len(settled.issues))
        return settled

    async def _failed(self, source: Source, reason: str, message: str, lease: Lease) -> None:
        self._log.warning("source not read", source=source.name, reason=reason, message=message)

        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            known = await tx.source(source.id, lock=True)
            if known is not None:
                decision = failed(known, reason, message, tx.now, answers=source.wished)
                if decision.state is not None:
                    await tx.save(decision.state)
                    tx.emit(*decision.events)

        await self._work.again(step)

    async def _pause(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(rest(stop, LOOK)), asyncio.create_task(self.wake.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def listed(plugin: BlueprintSource, at: Location) -> AsyncIterator[Ref]:
    """Every item of a source, page by page."""
    cursor = ""
    while True:
        page = await plugin.list(at=at, cursor=cursor)
        for ref in page.refs:
            yield ref
        if not page.next_cursor:
            return
        cursor = page.next_cursor


async def _seen(plugin: BlueprintSource, at: Location, ref: Ref, policy: Policy, turns: asyncio.Semaphore) -> Sighting:
    async with turns:
        try:
            artifact = await plugin.fetch(at=at, ref=ref)
        except Permanent as failure:
            return Sighting(ref.path, ref.digest, findings=(Finding("fetch", failure.reason, failure.message),))
        except PluginFailure as failure:
            finding = Finding("fetch", "FETCH_FAILED", failure.message)
            return Sighting(ref.path, ref.digest, findings=(finding,), fetched=False)
        return await asyncio.to_thread(_inspected, ref, artifact, policy)


def _inspected(ref: Ref, artifact: Artifact, policy: Policy) -> Sighting:
    """What the bytes say, and what is said about them; a source that keeps several versions names folder and version."""
    verdict = judge(policy, artifact.digest, artifact.signatures, artifact.attestations) if policy.looks else UNASKED
    try:
        inspected = inspect(ref.name or ref.path, artifact.files)
    except Rejected as rejected:
        return Sighting(ref.path, artifact.digest, findings=rejected.findings, verdict=verdict)
    if ref.version and ref.version != inspected.manifest.spec.version:
        message = f"it is kept as {ref.version}, and says {inspected.manifest.spec.version or 'nothing'}"
        return Sighting(
            ref.path, artifact.digest, findings=(Finding("validate", "VERSION_MISMATCH", message, "spec.version"),)
        )
    return Sighting(ref.path, artifact.digest, inspected, verdict=verdict, artifact=kept(artifact))


def _of_versions(known: Known, settled: Settled, sightings: Iterable[Sighting]) -> list[Kept]:
    """The bytes of versions that there are now; those of what was refused are nobody's."""
    digests = {version.digest for version in (*known.versions.values(), *settled.versions)}
    found = {one.artifact.digest: one.artifact for one in sightings if one.artifact and one.artifact.digest in digests}
    return list(found.values())


def _is_new(ref: Ref, known: Item | None) -> bool:
    return known is None or not ref.digest or known.digest != ref.digest or not known.has_bytes


def _is_same(known: Source, read: Source) -> bool:
    """Whether what was read is still what is wished: same place, same rules."""
    return (known.config, known.secret_ref, known.policy) == (read.config, read.secret_ref, read.policy)


def _waiting(items: Mapping[str, Item], issues: Iterable[Issue]) -> dict[str, datetime]:
    """When each item that could not be taken is tried again, by path."""
    waiting: dict[str, datetime] = {}
    for issue in issues:
        item = items.get(issue.ref)
        if item is not None and item.outcome is State.PENDING:
            waiting[issue.ref] = max(retry_at(issue), waiting.get(issue.ref, retry_at(issue)))
    return waiting
