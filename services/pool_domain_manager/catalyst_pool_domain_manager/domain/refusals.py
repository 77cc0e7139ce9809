"""Every refusal of PDM, with its reason."""

import hmac
from datetime import timedelta
from math import ceil

from catalyst_sdk import Code, Refused, Violation


class NameTaken(Refused):
    # Neither by whom nor until when: both are another Organization's business.
    code, reason, message = Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} is held"


class NameQuarantined(Refused):
    code, reason = Code.FAILED_PRECONDITION, "NAME_QUARANTINED"
    message = "{name} was released and rests until {available_time}"


class LabelRefused(Refused):
    """LABEL_INVALID or LABEL_RESERVED, with the rule that the label breaks."""

    code, reason, message = Code.INVALID_ARGUMENT, "LABEL_INVALID", "the label {label!r} cannot be had: {detail}"
    reasons = ("LABEL_INVALID", "LABEL_RESERVED")

    def __init__(self, reason: str, label: str, rule: str, detail: str, *, policy_version: int) -> None:
        self.reason = reason  # type: ignore[misc]  # one refusal with two public reasons
        violations = (Violation("label", detail, rule),)
        super().__init__(violations=violations, label=label, rule=rule, detail=detail, policy_version=policy_version)


class AllocationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ALLOCATION_NOT_FOUND", "there is no {name}"


class ZoneNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ZONE_NOT_FOUND", "there is no {name}"


class ReservationExpired(Refused):
    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED"
    message = "the reservation of {name} has ended; reserve it again"


class TokenMissing(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "TOKEN_MISSING", "reservation_token is needed for {name}"
    field = "reservation_token"


class TokenMismatch(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "TOKEN_MISMATCH", "that is not the token of {name}"


class AlreadyCommitted(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ALREADY_COMMITTED"
    message = "{name} was committed with other targets; change them with UpdateAllocation"


class NotCommitted(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ALLOCATION_NOT_COMMITTED"
    message = "{name} is {state}; commit it first"


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} was changed meanwhile; read it again"


class RateLimited(Refused):
    """Too many calls of one identity; RetryInfo says when the next one makes sense."""

    code, reason = Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"
    message = "{what} are limited to {limit}; ask again in {seconds} s"

    def __init__(self, what: str, limit: str, wait: timedelta) -> None:
        super().__init__(what=what, limit=limit, seconds=max(1, ceil(wait.total_seconds())))
        self.retry_after = wait  # type: ignore[misc]  # each refusal has a wait of its own


class EpochStale(Refused):
    code, reason = Code.ABORTED, "EPOCH_STALE"
    message = "{hostname} was steered under epoch {stored}; {given} is an older right to steer"


class QuotaExceeded(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"
    message = "{owner} has {used} {what}, the limit is {limit}"
    retry_after = None


class TargetsRefused(Refused):
    """TARGET_MISSING, TARGET_INVALID or TARGET_NOT_PUBLIC: the first reason, all violations."""

    code, reason, message = Code.INVALID_ARGUMENT, "TARGET_INVALID", "{count} target(s) cannot be used: {first}"
    reasons = ("TARGET_MISSING", "TARGET_INVALID", "TARGET_NOT_PUBLIC")

    def __init__(self, reason: str, violations: tuple[Violation, ...]) -> None:
        self.reason = reason  # type: ignore[misc]  # as above
        super().__init__(violations=violations, count=len(violations), first=violations[0].description)


class FqdnMismatch(Refused):
    code, reason = Code.INVALID_ARGUMENT, "FQDN_MISMATCH"
    message = "sovereign_fqdn is {given}, but {name} is {expected}"


class CapabilityMissing(Refused):
    code, reason = Code.FAILED_PRECONDITION, "BACKEND_CAPABILITY_MISSING"
    message = "no backend of this pool can do {what}; leave it out"


class ReasonMissing(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "REASON_MISSING", "a reason is kept in the history; say one"
    field = "reason"


class ConfirmationMissing(Refused):
    code, reason = Code.INVALID_ARGUMENT, "CONFIRMATION_MISSING"
    message = "say with grace_confirmed that the waiting time of {name} was checked"
    field = "grace_confirmed"


class GraceNotElapsed(Refused):
    code, reason = Code.FAILED_PRECONDITION, "GRACE_NOT_ELAPSED"
    message = "{name} can be taken from its owner after {until}"


class NameStillResolves(Refused):
    code, reason = Code.FAILED_PRECONDITION, "NAME_STILL_RESOLVES"
    message = "{fqdn} still resolves; release it instead, or wait until it does not"


class TransferExpired(Refused):
    code, reason = Code.FAILED_PRECONDITION, "TRANSFER_EXPIRED"
    message = "the offer of {name} has ended; have it offered again"


class BackendUnavailable(Refused):
    code, reason, message = Code.UNAVAILABLE, "BACKEND_UNAVAILABLE", "{backend} does not answer: {why}"


class BackendNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "BACKEND_NOT_FOUND", "there is no {backend}"


def same(known: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(known.encode(), given.encode())
