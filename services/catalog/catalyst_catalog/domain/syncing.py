"""What a sync of a source decides.

Invariants
  one result     an item, its version and its issues are settled together, and only then is its digest remembered;
  alone          an item that fails never keeps another from being published;
  quiet          a sync that finds what it knows writes nothing and tells nothing;
  first come     a name belongs to the source of the lowest priority that has it; a later claim is quarantined.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_sdk import Decision

from . import changes, trust
from .changes import Change
from .closure import find_cycle
from .importer import Change as Rewriting
from .inspection import Finding, Inspected
from .manifest import Manifest
from .manifest_parts import Visibility
from .ranges import newest_first
from .sightings import Known, Settled, Sighting
from .sources import (
    Blueprint,
    BlueprintOrphaned,
    BlueprintUpdated,
    Issue,
    IssueClosed,
    IssueOpened,
    Item,
    SourceSynced,
)
from .universe import State
from .versions import Version, VersionPublished, VersionQuarantined, digest_changed, moved

ORPHAN_AFTER_SYNCS = 3
_MAY_COME_LATER = frozenset({"SIGNATURE_MISSING", "SBOM_MISSING"})
ORPHAN_AFTER = timedelta(hours=24)


def settle(
    known: Known, sightings: Iterable[Sighting], present: Iterable[str], now: datetime, *, answers: int
) -> Decision[Settled]:
    """What a sync leads to.

    sightings   items whose digest differs from the known one, inspected
    present     paths of all items that the source shows
    answers     number of the newest wish when the source was read: a later one is about what nobody has seen yet
    """
    settling = _Settling(known, now, answers)
    for sighting in sorted(sightings, key=lambda s: s.path):
        settling.take(sighting)
    settling.miss(set(present))
    return settling.decision()


class _Settling:
    """One sync, item by item, over what is known."""

    def __init__(self, known: Known, now: datetime, answers: int) -> None:
        self._known = known
        self._now = now
        self._answers = answers
        self._revision = known.catalog_revision
        self._rows = Settled(known.source, known.catalog_revision)
        self._facts: list[object] = []
        self._touched: dict[tuple[str, str], Blueprint] = {}
        self._listed = self._taken = 0
        self._versions = dict(known.versions)
        self._blueprints = dict(known.blueprints)
        self._needs = {name: set(needs) for name, needs in known.needs.items()}
        self._owner = known.source.owner

    def take(self, seen: Sighting) -> None:
        """Settle one item whose bytes are new."""
        self._taken += 1
        findings, outcome = seen.findings, State.REJECTED
        if seen.inspected is not None:
            findings, outcome = self._admit(seen, seen.inspected)
        if not seen.fetched:
            outcome = State.PENDING
        # A digest is remembered with its result only; an item that is still pending is taken again.
        # So is one that lacks a signature: that may come later without any change of the bytes.
        is_open = outcome is State.PENDING or any(f.reason in _MAY_COME_LATER for f in findings)
        digest = "" if is_open else seen.digest
        item = Item(self._known.source.id, seen.path, digest, outcome)
        if item != self._known.items.get(seen.path):
            self._rows.items.append(item)
        self._report(seen.path, findings)

    def miss(self, present: set[str]) -> None:
        """Count the items that the source no longer shows; after three syncs or a day they are orphans."""
        self._listed = len(present)
        for path, item in sorted(self._known.items.items()):
            if path not in present:
                self._missed(item)
            elif item.missed and not any(row.path == path for row in self._rows.items):
                self._rows.items.append(replace(item, missed=0, missing_since=None))
                self._adopt(path)

    def decision(self) -> Decision[Settled]:
        """The rows, and the facts in the order in which they came about."""
        rows, source = self._rows, self._known.source
        rows.blueprints = [self._touched[key] for key in sorted(self._touched)]
        is_answered = source.observed >= self._answers and not source.condition
        if rows.is_empty and is_answered:
            return Decision(rows)
        self._facts += [self._told(key, blueprint) for key, blueprint in sorted(self._touched.items())]
        rows.source = replace(
            source,
            condition="",
            message="",
            synced_at=self._now,
            since=source.since or self._now,
            observed=max(source.observed, self._answers),
            revision=source.revision + 1,
        )
        synced = self._synced()
        counts = {name: getattr(synced, name) for name in ("listed", "published", "issues", "orphaned")}
        rows.source = replace(rows.source, last_sync={**counts, "unchanged": max(0, self._listed - self._taken)})
        return Decision(rows, (*self._facts, replace(synced, source=rows.source)))

    def _synced(self) -> SourceSynced:
        def count(fact: type) -> int:
            return sum(isinstance(told, fact) for told in self._facts)

        return SourceSynced(
            self._rows.source,
            self._listed,
            published=count(VersionPublished),
            issues=count(IssueOpened),
            orphaned=count(BlueprintOrphaned),
        )

    def _admit(self, seen: Sighting, inspected: Inspected) -> tuple[tuple[Finding, ...], State]:
        """What becomes of an item that can be read: bytes first, then whose the name is, then trust, then the graph."""
        checked = inspected.manifest
        version = checked.spec.version or ""
        known = self._versions.get((self._owner, checked.name, version))
        is_mine = known is not None and known.source == self._known.source.id
        if clash := self._clash(checked.name):
            return self._refuse_claim(seen, inspected, clash, known)
        if known is not None and version and is_mine and known.digest != seen.digest:
            return self._quarantine_changed(known)
        fault = trust.fault(self._known.source.policy, seen.verdict)
        if known is not None and version and is_mine:
            return self._checked_again(seen, known, fault)
        if fault is not None and fault[1] is State.QUARANTINED:
            if (self._owner, checked.name) not in self._blueprints:
                self._head(checked, version)  # the name is its source's all the same, and the version may be released
            return self._quarantine(seen, inspected, fault[0], known)
        if fault is not None:
            return (fault[0],), fault[1]
        if circle := self._circle(checked):
            return (circle,), State.REJECTED
        fresh = self._version(seen, inspected, State.VERIFIED, "", known)
        self._save(fresh)
        self._facts.append(VersionPublished(fresh, self._revision))
        self._head(checked, version)
        return (), fresh.state

    def _checked_again(
        self, seen: Sighting, known: Version, fault: tuple[Finding, State] | None
    ) -> tuple[tuple[Finding, ...], State]:
        """The same bytes under another policy, or with other signatures: what was published stays where it is.

        Whether it may still be installed is asked of the policy by whoever plans.
        """
        if seen.verdict != known.verdict:
            self._save(replace(known, verdict=seen.verdict, revision=known.revision + 1))
        self._adopt(seen.path)
        return (fault[0],) if fault else (), known.state

    def _refuse_claim(
        self, seen: Sighting, inspected: Inspected, clash: Finding, known: Version | None
    ) -> tuple[tuple[Finding, ...], State]:
        """A name that is another source's. The version of its owner, and a claim that was refused before, stay as they are."""
        if known is not None and (known.source != self._known.source.id or known.state is State.QUARANTINED):
            return (clash,), State.QUARANTINED
        return self._quarantine(seen, inspected, clash, known)

    def _quarantine(
        self, seen: Sighting, inspected: Inspected, why: Finding, known: Version | None
    ) -> tuple[tuple[Finding, ...], State]:
        refused = self._version(seen, inspected, State.QUARANTINED, why.reason, known)
        self._save(refused)
        self._facts.append(VersionQuarantined(refused, self._revision))
        return (why,), State.QUARANTINED

    def _quarantine_changed(self, known: Version) -> tuple[tuple[Finding, ...], State]:
        """Other bytes under a published version: the known bytes stay, and nobody installs them anew."""
        if known.state is not State.QUARANTINED:
            broken = moved(known, State.QUARANTINED, "DIGEST_CHANGED", self._now)
            self._save(broken)
            self._facts.append(VersionQuarantined(broken, self._revision))
        return (digest_changed(known),), State.QUARANTINED

    def _clash(self, name: str) -> Finding | None:
        """Whether an earlier source owns the name: a private Blueprint never stands in for a public one."""
        mine = self._known.source
        public = self._blueprints.get(("", name))
        owned = public is not None and public.source != mine.id and public.priority <= mine.priority
        if not owned:
            return None
        return Finding("verify", "NAME_CLASH", f"{name} belongs to another source", "metadata.name")

    def _circle(self, checked: Manifest) -> Finding | None:
        needs = {edge.blueprint for edge in checked.spec.depends}
        circle = find_cycle(_around({**self._needs, checked.name: needs}, checked.name))
        if circle is None:
            self._needs[checked.name] = needs
            return None
        return Finding("validate", "DEPENDENCY_CYCLE", " > ".join(circle), "spec.depends")

    def _version(
        self, seen: Sighting, inspected: Inspected, state: State, reason: str, known: Version | None
    ) -> Version:
        checked = inspected.manifest
        return Version(
            blueprint=checked.name,
            owner_org=self._owner,
            version=checked.spec.version or "",
            digest=seen.digest,
            source=self._known.source.id,
            path=seen.path,
            state=state,
            reason=reason,
            document=checked.as_document(),
            changes=tuple(map(_as_row, inspected.changes)),
            warnings=tuple({"reason": w.reason, "message": w.message, "field": w.field} for w in inspected.warnings),
            published_at=known.published_at if known else self._now,
            state_since=self._now,
            revision=known.revision + 1 if known else 1,
            verdict=seen.verdict,
        )

    def _save(self, version: Version) -> None:
        """Remember a changed version; the catalogue is at the next revision with it."""
        self._versions[version.owner_org, version.blueprint, version.version] = version
        self._rows.versions.append(version)
        self._change(changes.Kind.VERSION, version.name, version.revision, state=version.state.value)

    def _change(self, kind: changes.Kind, name: str, row: int, **more: str) -> None:
        self._revision += 1
        self._rows.changes.append(Change(self._revision, kind, name, self._owner, row, **more))

    def _head(self, checked: Manifest, version: str) -> None:
        """The Blueprint's own row follows its newest version."""
        source, key = self._known.source, (self._owner, checked.name)
        known = self._blueprints.get(key)
        newest = _newer(known.newest if known else "", version)
        # What an Organization's source brings is that Organization's alone, whatever the manifest says.
        visibility = Visibility.PRIVATE if self._owner else checked.spec.visibility
        if known is not None and version != newest:
            visibility = known.visibility
        priority = source.priority
        self._touch(Blueprint(checked.name, self._owner, source.id, priority, newest, visibility, None, 0))

    def _touch(self, changed: Blueprint) -> None:
        """Remember a changed Blueprint; however often it changes in one sync, its revision grows by one."""
        key = changed.owner_org, changed.name
        before = self._known.blueprints.get(key)
        self._blueprints[key] = replace(changed, revision=before.revision + 1 if before else 1)
        self._touched[key] = self._blueprints[key]

    def _told(self, key: tuple[str, str], blueprint: Blueprint) -> BlueprintUpdated | BlueprintOrphaned:
        before = self._known.blueprints.get(key)
        shown = before.visibility.value if before else ""
        self._change(changes.Kind.BLUEPRINT, blueprint.resource, blueprint.revision, before=shown)
        is_new_orphan = blueprint.orphaned_at is not None and before is not None and before.orphaned_at is None
        return (BlueprintOrphaned if is_new_orphan else BlueprintUpdated)(blueprint, self._revision)

    def _report(self, ref: str, findings: tuple[Finding, ...]) -> None:
        standing = {key: issue for key, issue in self._known.issues.items() if key[0] == ref}
        for finding in findings:
            known = standing.pop((ref, finding.stage, finding.reason), None)
            if known is None:
                issue = Issue(self._known.source.id, ref, finding, self._now, self._now)
                self._facts.append(IssueOpened(issue, self._owner))
            else:
                issue = replace(known, finding=finding, last_seen=self._now, attempts=known.attempts + 1)
            self._rows.issues.append(issue)
        self._heal(standing.values())

    def _heal(self, issues: Iterable[Issue]) -> None:
        for issue in issues:
            self._rows.healed.append(issue)
            self._facts.append(IssueClosed(issue, self._owner))

    def _missed(self, item: Item) -> None:
        since = item.missing_since or self._now
        was_orphan = _is_orphan(item, self._now)
        if was_orphan and item.missed > ORPHAN_AFTER_SYNCS:
            return
        later = replace(item, missed=item.missed + 1, missing_since=since)
        self._rows.items.append(later)
        if not _is_orphan(later, self._now):
            return
        self._rows.items[-1] = replace(later, missed=ORPHAN_AFTER_SYNCS + 1)
        self._heal([i for i in self._known.issues.values() if i.ref == item.path])
        for key in self._owned_by(item.path):
            self._orphan(key)

    def _owned_by(self, path: str) -> list[tuple[str, str]]:
        source = self._known.source.id
        keys = {(v.owner_org, v.blueprint) for v in self._versions.values() if (v.source, v.path) == (source, path)}
        return sorted(key for key in keys if key in self._blueprints and self._blueprints[key].source == source)

    def _orphan(self, key: tuple[str, str]) -> None:
        known = self._blueprints[key]
        if known.orphaned_at is None:
            self._touch(replace(known, orphaned_at=self._now))

    def _adopt(self, path: str) -> None:
        """An item that is back is no orphan."""
        for key in self._owned_by(path):
            if self._blueprints[key].orphaned_at is not None:
                self._touch(replace(self._blueprints[key], orphaned_at=None))


def _is_orphan(item: Item, now: datetime) -> bool:
    old = item.missing_since is not None and now - item.missing_since >= ORPHAN_AFTER
    return item.missed >= ORPHAN_AFTER_SYNCS or old


def _around(needs: Mapping[str, Iterable[str]], start: str) -> dict[str, set[str]]:
    """The part of the graph that can be reached from `start`: a circle through it lies in there."""
    reached: dict[str, set[str]] = {}
    open_names = [start]
    while open_names:
        name = open_names.pop()
        if name not in reached and name in needs:
            reached[name] = set(needs[name])
            open_names.extend(reached[name])
    return reached


def _newer(known: str, fresh: str) -> str:
    present = [version for version in (known, fresh) if version]
    return newest_first(present)[0] if present else ""


def _as_row(change: Rewriting) -> dict[str, Any]:
    return {"path": change.path, "from": change.before, "to": change.after, "rule": change.rule}
