"""Sources and issues as messages, and the sources that messages describe."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh import InvalidRequest
from catalyst_mesh.protos import span, stamp
from catalyst_sdk import Violation

from ..domain.sources import Issue, Scope, Source, default_policy, retry_at
from ..domain.trust import Identity, Policy, Requirement
from .blueprints import struct
from .solving import plain
from .words import REQUIREMENTS, SCOPES, STAGES, etag, organization

CHANGEABLE = ("config", "secret_ref", "interval", "trust", "priority", "enabled", "prereleases")
RETRIED = frozenset({"FETCH_FAILED", "SIGNATURE_UNVERIFIABLE"})
"""Issues whose item is tried again by itself."""


def described(id: str, message: pb.Source) -> Source:
    """The source that a message describes. Refuses one that lacks what a new source must say, with all of it."""
    wrong = [Violation(name, "is required", "required") for name in ("kind", "scope") if not getattr(message, name)]
    is_private = message.scope == pb.Source.SCOPE_ORGANIZATION
    if is_private != bool(message.org):
        wrong.append(Violation("org", "is required for the scope ORGANIZATION, and for no other", "required"))
    if wrong:
        raise InvalidRequest(tuple(wrong))
    scope = next(scope for scope, number in SCOPES.items() if number == message.scope)
    bare = Source(id, message.kind, scope, {}, organization=message.org.removeprefix("organizations/"))
    given = {field.name for field, _ in message.ListFields()}
    return merged(bare, message, given & set(CHANGEABLE))


def merged(source: Source, message: pb.Source, fields: Collection[str]) -> Source:
    """`source` with `fields` as the message says."""
    values: dict[str, Any] = {
        "config": lambda: {"config": plain(message.config)},
        "secret_ref": lambda: {"secret_ref": message.secret_ref},
        "interval": lambda: {"interval": message.interval.ToTimedelta() or timedelta(minutes=15)},
        "trust": lambda: {"trust": to_policy(message.trust, source.scope, source.kind)},
        "priority": lambda: {"rank": message.priority if message.HasField("priority") else None},
        "enabled": lambda: {"enabled": message.enabled if message.HasField("enabled") else True},
        "prereleases": lambda: {"prereleases": message.prereleases},
    }
    found: dict[str, Any] = {}
    for name in fields:
        found |= values[name]()
    return replace(source, **found)


def to_policy(message: pb.TrustPolicy, scope: Scope, kind: str) -> Policy:
    """A trust policy; what it leaves open is what the scope asks."""
    usual = default_policy(scope, kind)
    words = {number: word for word, number in REQUIREMENTS.items()}
    return Policy(
        words.get(message.signature, usual.signature),
        words.get(message.sbom, usual.sbom),
        tuple(message.keys),
        tuple(Identity(one.issuer, one.subject_pattern) for one in message.identities),
        tuple(message.authorities),
        tuple(message.log_keys),
        tuple(message.certificate_log_keys),
    )


def to_source(source: Source, row: Mapping[Any, Any], blueprints: int, versions: int, issues: int) -> pb.Source:
    """A source.

    row                           its uid, created_at and updated_at
    blueprints, versions, issues  how many it owns, brought, and has open
    """
    return pb.Source(
        name=source.name,
        uid=row["uid"],
        etag=etag(source.revision),
        version=source.revision,
        create_time=stamp(row["created_at"]),
        update_time=stamp(row["updated_at"]),
        generation=source.wished,
        observed_generation=source.observed,
        conditions=_conditions(source),
        state=_state(source),
        kind=source.kind,
        config=struct(source.config),
        secret_ref=source.secret_ref,
        scope=SCOPES[source.scope],
        org=organization(source.organization),
        interval=span(source.interval),
        trust=_trust(source.policy),
        priority=source.priority,
        enabled=source.enabled,
        prereleases=source.prereleases,
        last_sync_time=stamp(source.synced_at),
        blueprint_count=blueprints,
        version_count=versions,
        open_issue_count=issues,
    )


def to_issue(issue: Issue, *, is_due: bool = False) -> pb.Issue:
    """An issue; `is_due`: its item is taken up now."""
    reason = issue.finding.reason
    next_try = issue.last_seen if is_due else retry_at(issue) if reason in RETRIED else None
    return pb.Issue(
        name=issue.name,
        ref=issue.ref,
        stage=STAGES[issue.finding.stage],
        reason=reason,
        message=issue.finding.message,
        field=issue.finding.field,
        first_seen_time=stamp(issue.first_seen),
        last_seen_time=stamp(issue.last_seen),
        attempts=issue.attempts,
        next_attempt_time=stamp(next_try),
        version=issue.attempts,
    )


def _trust(policy: Policy) -> pb.TrustPolicy:
    requirement: Mapping[Requirement, Any] = REQUIREMENTS
    return pb.TrustPolicy(
        signature=requirement[policy.signature],
        sbom=requirement[policy.sbom],
        keys=policy.keys,
        identities=[
            pb.TrustedIdentity(issuer=one.issuer, subject_pattern=one.subject_pattern) for one in policy.identities
        ],
        authorities=policy.authorities,
        log_keys=policy.log_keys,
        certificate_log_keys=policy.certificate_log_keys,
    )


def _state(source: Source) -> "pb.Source.State.ValueType":
    if not source.enabled:
        return pb.Source.STATE_DISABLED
    if source.observed < source.wished:
        return pb.Source.STATE_SYNCING
    return pb.Source.STATE_FAILED if source.condition else pb.Source.STATE_ACTIVE


def _conditions(source: Source) -> list[mesh.Condition]:
    """`Synced`: whether the last sync could read the source."""
    status = mesh.Condition.STATUS_FALSE if source.condition else mesh.Condition.STATUS_TRUE
    reason = "".join(word.capitalize() for word in source.condition.split("_")) or "Read"
    unknown = source.observed == 0
    return [
        mesh.Condition(
            type="Synced",
            status=mesh.Condition.STATUS_UNKNOWN if unknown else status,
            reason="NotYet" if unknown else reason,
            message=source.message,
            observed_generation=source.observed,
            since=stamp(source.since),
        )
    ]
