"""Credentials: secrets that somebody gave us, by name and version; their values never pass here.

Invariants
  write only   what is told of a credential says that there is a value, and never which;
  kept while used   a Sovereign that names one, or has resources made with it, keeps it from being deleted;
  no gap       `version` grows by one with each fact told of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from catalyst_sdk import Code, Decision, Refused, Violation
from catalyst_sdk.credentials import credential_faults

FIELD = "token"
"""Name of the one field of a credential whose schema is a plain string."""
VALID, READ_ONLY, INSUFFICIENT = "STATE_VALID", "STATE_READ_ONLY", "STATE_INSUFFICIENT"
REJECTED, UNKNOWN = "STATE_REJECTED", "STATE_UNKNOWN"


class CredentialInvalid(Refused):
    """All that is wrong with the values of a credential, without any of them."""

    code, reason = Code.INVALID_ARGUMENT, "CREDENTIAL_INVALID"
    message = "{count} field(s) of the credential are wrong: {fields}"

    def __init__(self, violations: Sequence[Violation]) -> None:
        fields = ", ".join(v.field for v in violations)
        super().__init__(violations=tuple(violations), count=len(violations), fields=fields)


class CredentialNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CREDENTIAL_NOT_FOUND", "there is no credential {name}"


class CredentialTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} exists already"


class CredentialInUse(Refused):
    reason, message = "CREDENTIAL_IN_USE", "{name} is used by {users}"


class CredentialChanged(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read; its etag is {etag}"


@dataclass(frozen=True, slots=True)
class Credential:
    """The aggregate, without any value."""

    id: str
    uid: str
    kind: str
    provider: str
    organization: str
    version: int
    """Of the aggregate; versions of the value are counted apart."""
    newest: int
    created_at: datetime
    updated_at: datetime
    last_check: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Resource name."""
        return f"credentials/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with each version and each check."""
        return f'"{self.uid[:8]}.{self.version}"'


@dataclass(frozen=True, slots=True)
class Rotated:
    credential: Credential
    actor: str


@dataclass(frozen=True, slots=True)
class Rejected:
    credential: Credential
    users: tuple[str, ...]


def schema_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the fields. One that is a plain string asks for a single field."""
    if schema.get("type") == "object" or "properties" in schema:
        return schema
    return {"type": "object", "properties": {FIELD: dict(schema)}, "required": [FIELD], "additionalProperties": False}


def demand_values(schema: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """Raises CredentialInvalid with every fault, by field and rule and never by value."""
    faults = credential_faults(schema_of(schema), values)
    if faults:
        raise CredentialInvalid([Violation(f"values.{fault.field}", fault.text, fault.rule) for fault in faults])


def add_version(held: Credential, *, actor: str, now: datetime) -> Decision[Credential]:
    """A new value beside the old ones; what was said about the old one counts no more."""
    after = replace(held, version=held.version + 1, newest=held.newest + 1, updated_at=now, last_check=None)
    return Decision(after, (Rotated(after, actor),))


def checked(held: Credential, check: Mapping[str, Any], users: Sequence[str], now: datetime) -> Decision[Credential]:
    """The provider's word about one version. A word about an older one than the newest is kept by nobody."""
    if check["credential_version"] != held.newest:
        return Decision(held)
    after = replace(held, version=held.version + 1, updated_at=now, last_check=check)
    bad = check["state"] in (READ_ONLY, INSUFFICIENT, REJECTED)
    return Decision(after, (Rejected(after, tuple(users)),) if bad else ())


def verdict(*, valid: bool, granted: Sequence[str], missing: Sequence[str]) -> str:
    """The state of a check."""
    if valid and not missing:
        return VALID
    if tuple(missing) == ("write",) and granted:
        return READ_ONLY
    return INSUFFICIENT if granted else REJECTED


def demand_etag(held: Credential, etag: str) -> None:
    """Raises CredentialChanged; an empty etag asks for nothing."""
    if etag and etag != held.etag:
        raise CredentialChanged(name=held.name, etag=held.etag)


def demand_unused(held: Credential, users: Sequence[str]) -> None:
    """Raises CredentialInUse."""
    if users:
        raise CredentialInUse(name=held.name, users=", ".join(users))
