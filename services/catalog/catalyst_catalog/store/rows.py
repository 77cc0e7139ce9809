"""Between rows and the domain's records."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

from ..domain.artifacts import Kept
from ..domain.changes import Change
from ..domain.changes import Kind as ChangeKind
from ..domain.inspection import Finding
from ..domain.manifest_parts import Visibility
from ..domain.sources import Blueprint, Issue, Item, Scope, Source
from ..domain.storefront import Kind, Offer
from ..domain.trust import UNASKED, Attestation, Signature, Verdict, policy_of
from ..domain.universe import State
from ..domain.versions import Version

Row = Mapping[Any, Any]


_APART = frozenset({"scope", "interval", "trust"})
"""Fields of a source that are written in another form."""


def to_source(row: Row) -> Source:
    told = {f.name: row[f.name] for f in fields(Source) if f.name not in _APART}
    trust = policy_of(row["trust"]) if row["trust"] else None
    interval = timedelta(seconds=row["interval_seconds"])
    return Source(**told, scope=Scope[row["scope"]], interval=interval, trust=trust)


def from_source(source: Source) -> dict[str, Any]:
    told = {f.name: getattr(source, f.name) for f in fields(Source) if f.name not in _APART}
    trust = source.trust.as_document() if source.trust else {}
    seconds = int(source.interval.total_seconds())
    return {**told, "scope": source.scope.name, "interval_seconds": seconds, "trust": trust}


def to_item(row: Row) -> Item:
    return Item(**{**row, "outcome": State(row["outcome"])})


def from_item(item: Item) -> dict[str, Any]:
    return {**{f.name: getattr(item, f.name) for f in fields(Item)}, "outcome": item.outcome.value}


def to_issue(row: Row) -> Issue:
    finding = Finding(row["stage"], row["reason"], row["message"], row["field"])
    return Issue(row["source"], row["ref"], finding, row["first_seen"], row["last_seen"], row["attempts"])


def from_issue(issue: Issue) -> dict[str, Any]:
    told = {f.name: getattr(issue, f.name) for f in fields(Issue) if f.name != "finding"}
    return {**told, **{f.name: getattr(issue.finding, f.name) for f in fields(Finding)}}


def to_version(row: Row) -> Version:
    told = {f.name: row[f.name] for f in fields(Version)}
    lists = {"changes": tuple(row["changes"]), "warnings": tuple(row["warnings"])}
    return Version(**{**told, **lists, "state": State(row["state"]), "verdict": _to_verdict(row["verdict"])})


def from_version(version: Version) -> dict[str, Any]:
    told = {f.name: getattr(version, f.name) for f in fields(Version)}
    visibility = "private" if version.owner_org else version.document["spec"].get("visibility", "unlisted")
    lists = {"changes": list(version.changes), "warnings": list(version.warnings)}
    verdict = _from_verdict(version.verdict)
    return {**told, **lists, "state": version.state.value, "visibility": visibility, "verdict": verdict}


def _to_verdict(row: Row) -> Verdict:
    if not row:
        return UNASKED
    states = {name: Attestation(row[name]) for name in ("sbom", "provenance")}
    return Verdict(Signature(row["signature"]), **states, signers=tuple(row["signers"]))


def _from_verdict(verdict: Verdict) -> dict[str, Any]:
    words = {name: getattr(verdict, name).value for name in ("signature", "sbom", "provenance")}
    return {**words, "signers": list(verdict.signers)}


def to_artifact(row: Row) -> Kept:
    said = {name: tuple(map(base64.b64decode, row["said"][name])) for name in ("signatures", "attestations")}
    return Kept(row["digest"], row["media_type"], row["archive"], row["manifest"], **said)


def from_artifact(kept: Kept) -> dict[str, Any]:
    said = {
        name: [base64.b64encode(raw).decode() for raw in getattr(kept, name)] for name in ("signatures", "attestations")
    }
    plain = {name: getattr(kept, name) for name in ("digest", "media_type", "archive", "manifest")}
    return {**plain, "said": said}


def to_change(row: Row) -> Change:
    return Change(**{**row, "kind": ChangeKind(row["kind"])})


def from_change(change: Change) -> dict[str, Any]:
    return {**{f.name: getattr(change, f.name) for f in fields(Change)}, "kind": change.kind.value}


def to_blueprint(row: Row) -> Blueprint:
    told = {f.name: row[f.name] for f in fields(Blueprint)}
    return Blueprint(**{**told, "visibility": Visibility(row["visibility"])})


def from_blueprint(blueprint: Blueprint) -> dict[str, Any]:
    told = {f.name: getattr(blueprint, f.name) for f in fields(Blueprint)}
    return {**told, "visibility": blueprint.visibility.value}


def to_offer(row: Row) -> Offer:
    return Offer(**{**{f.name: row[f.name] for f in fields(Offer)}, "kind": Kind(row["kind"])})


def from_offer(offer: Offer) -> dict[str, Any]:
    return {**{f.name: getattr(offer, f.name) for f in fields(Offer)}, "kind": offer.kind.value}


def needs_of(versions: Iterable[Version], names: Iterable[Blueprint]) -> dict[str, list[str]]:
    """The graph of newest versions, by name."""
    newest = {(b.owner_org, b.name): b.newest for b in names}
    return {
        v.blueprint: [edge["blueprint"] for edge in v.document["spec"].get("depends", ())]
        for v in versions
        if newest.get((v.owner_org, v.blueprint)) == v.version
    }
