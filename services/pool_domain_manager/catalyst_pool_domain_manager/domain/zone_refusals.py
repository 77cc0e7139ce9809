"""Refusals about zones and their record sets."""

from catalyst_sdk import Code, Permanent, Refused, Violation

from .record_sets import faults_of


class ForeignZone(Refused):
    code, reason = Code.FAILED_PRECONDITION, "FOREIGN_ZONE"
    message = "{backend} has a zone {name} that carries the mark of somebody else, or none; it is never adopted"


class ProtectedRecord(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = "{what} of {name} cannot be changed so: {how}"


class ZoneOfPool(Refused):
    code, reason = Code.FAILED_PRECONDITION, "POOL_NOT_EMPTY"
    message = "{pool} hands out names in {name}; delete the pool first"


class RecordsRefused(Refused):
    """Every record set that no server would take, with its position."""

    code, reason, message = Code.INVALID_ARGUMENT, "RECORD_INVALID", "{count} record set(s) cannot be used: {first}"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(violations=violations, count=len(violations), first=violations[0].description)

    @classmethod
    def of(cls, refused: Permanent, field: str) -> "RecordsRefused":
        """From what the rules of record sets say; `field` is the list that was judged."""
        found = faults_of(refused)
        return cls(tuple(Violation(f"{field}[{n}]" if n >= 0 else field, text, "record") for n, text in found))


class WildcardForbidden(Refused):
    code, reason = Code.INVALID_ARGUMENT, "WILDCARD_FORBIDDEN"
    message = "{name} would answer for every name of {pool} that is free, released or mistyped"

    def __init__(self, name: str, pool: str, field: str) -> None:
        super().__init__(violations=(Violation(field, f"{name} is a wildcard", "wildcard"),), name=name, pool=pool)
