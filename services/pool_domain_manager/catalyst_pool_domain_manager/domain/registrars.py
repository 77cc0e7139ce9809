"""Accounts at registrars, and what a registrar says as our callers hear it.

Invariants
  one credential   an account has sealed fields or the name of a stored secret, never both; where its registrar needs none,
                   neither;
  nothing comes out  no fact, refusal or answer has a value of a credential in it;
  not the caller   a registrar that refuses a credential is a precondition of the account and never UNAUTHENTICATED.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_sdk import Code, Decision, Permanent, Refused, Violation
from catalyst_sdk.registrar import Access, Obstacle, domain_name

KNOWN: Mapping[str, str] = {
    "cloudflare": "Cloudflare",
    "dynadot": "Dynadot",
    "godaddy": "GoDaddy",
    "manual": "By hand",
    "namecheap": "Namecheap",
    "ovh": "OVHcloud",
}
"""Registrars that we have a plugin for, whether or not it is installed: plugin and name for people."""

OF_PLUGINS: Mapping[str, str] = {
    "CREDENTIALS_REJECTED": "REGISTRAR_CREDENTIALS_REJECTED",
    "SECRET_NOT_FOUND": "REGISTRAR_CREDENTIALS_REJECTED",
    "ACCESS_NOT_ENTITLED": "REGISTRAR_ACCESS_NOT_ENTITLED",
    "PERMISSION_MISSING": "REGISTRAR_PERMISSION_MISSING",
    "IP_NOT_ALLOWED": "REGISTRAR_IP_NOT_ALLOWED",
    "OPERATION_UNSUPPORTED": "REGISTRAR_OPERATION_UNSUPPORTED",
    "PROTOCOL_MISMATCH": "REGISTRAR_PROTOCOL_MISMATCH",
    "CONFLICT": "PLAN_STALE",
}
"""Our reason for a plugin's; one that isn't here is the same in both."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a registrar last said of an account."""

    domain: str
    access: Access


@dataclass(frozen=True, slots=True)
class Account:
    """An owner's access to a registrar. `sealed` is opened by nobody but who calls the registrar."""

    id: str
    uid: str
    registrar: str
    owner: str
    created_at: datetime
    updated_at: datetime
    sealed: bytes = b""
    secret_ref: str = ""
    check: Check | None = None
    checked_at: datetime | None = None
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"registrarAccounts/{self.id}"

    def __repr__(self) -> str:
        return f"Account({self.name}, {self.registrar}, version {self.version})"


@dataclass(frozen=True, slots=True)
class AccountMade:
    account: Account
    actor: str


@dataclass(frozen=True, slots=True)
class AccountValidated:
    account: Account
    domain: str
    access: Access


@dataclass(frozen=True, slots=True)
class AccountRejected:
    account: Account
    domain: str
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class AccountDeleted:
    account: Account
    actor: str


class RegistrarNotFound(Refused):
    code, reason = Code.NOT_FOUND, "REGISTRAR_NOT_FOUND"
    message = "there is no {registrar}; there are {supported}"


class AccountNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "REGISTRAR_ACCOUNT_NOT_FOUND", "there is no {name}"


class AccountExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "REGISTRAR_ACCOUNT_EXISTS", "{name} is there already"


class AccountInUse(Refused):
    code, reason = Code.FAILED_PRECONDITION, "REGISTRAR_ACCOUNT_IN_USE"
    message = "{name} is needed by {user}: wait until nothing of it moves or can go back, or give it another one"


class RegistrarRefused(Refused):
    """What a registrar refused, in one of several reasons; what the owner can do is in the metadata."""

    code, reason, message = Code.FAILED_PRECONDITION, "REGISTRAR_CREDENTIALS_REJECTED", "{registrar}: {detail}"
    reasons = (
        "REGISTRAR_CREDENTIALS_REJECTED", "REGISTRAR_ACCESS_NOT_ENTITLED", "REGISTRAR_PERMISSION_MISSING",
        "REGISTRAR_IP_NOT_ALLOWED", "DOMAIN_NOT_IN_ACCOUNT", "DOMAIN_LOCKED",
    )  # fmt: skip

    def __init__(self, reason: str, registrar: str, said: Permanent) -> None:
        self.reason = reason  # type: ignore[misc]  # one refusal with several public reasons
        more: dict[str, Any] = {"provider_code": said.provider_code, "user_action": said.user_action, **said.metadata}
        super().__init__(registrar=registrar, detail=said.message, **more)


class RegistrarUnavailable(Refused):
    """No answer, or one that nobody understands."""

    code, reason, message = Code.UNAVAILABLE, "REGISTRAR_UNAVAILABLE", "{registrar}: {detail}"
    reasons = ("REGISTRAR_UNAVAILABLE", "REGISTRAR_PROTOCOL_MISMATCH")

    def __init__(self, reason: str, registrar: str, detail: str, retry_after: timedelta | None = None) -> None:
        self.reason = reason  # type: ignore[misc]  # as above
        self.retry_after = retry_after or timedelta(seconds=5)  # type: ignore[misc]  # the registrar may say how long
        super().__init__(registrar=registrar, detail=detail)


class RegistrarBusy(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"
    message = "{registrar} asks for a pause of {seconds} s"

    def __init__(self, registrar: str, pause: timedelta) -> None:
        self.retry_after = pause  # type: ignore[misc]  # as above
        super().__init__(registrar=registrar, seconds=round(pause.total_seconds()))


class RegistrarUnable(Refused):
    code, reason = Code.UNIMPLEMENTED, "REGISTRAR_OPERATION_UNSUPPORTED"
    message = "{registrar} cannot do this by its API: {detail}"


def create(known: Account | None, wish: Account, actor: str) -> Decision[Account]:
    """Store an account. Raises AccountExists."""
    if known is not None:
        raise AccountExists(name=wish.name)
    return Decision(wish, (AccountMade(wish, actor),))


def replaced(known: Account, *, sealed: bytes, secret_ref: str, now: datetime) -> Decision[Account]:
    """Take another credential. What the last one could do says nothing about it."""
    after = replace(
        known,
        sealed=sealed,
        secret_ref=secret_ref,
        check=None,
        checked_at=None,
        updated_at=now,
        version=known.version + 1,
    )  # fmt: skip - one value
    return Decision(after)


def checked(known: Account, domain: str, access: Access, now: datetime) -> Decision[Account]:
    """Keep what the registrar said of the account."""
    check = Check(domain, access)
    after = replace(known, check=check, checked_at=now, updated_at=now, version=known.version + 1)
    if access.valid:
        return Decision(after, (AccountValidated(after, domain, access),))
    why = access.obstacles[0] if access.obstacles else Obstacle("CREDENTIALS_REJECTED", "")
    return Decision(after, (AccountRejected(after, domain, why),))


def deleted(known: Account, actor: str) -> AccountDeleted:
    """What is told of an account that goes."""
    return AccountDeleted(replace(known, version=known.version + 1), actor)


def registrar_name(plugin: str) -> str:
    """Resource name of a plugin's registrar; names of plugins have underscores where those of resources have hyphens."""
    return f"registrars/{plugin.replace('_', '-')}"


def plugin_name(registrar: str) -> str:
    """The plugin of a resource name."""
    return registrar.removeprefix("registrars/").replace("-", "_")


def entitlements(access: Access) -> tuple[str, ...]:
    """What an account may do, in words."""
    can = {"read": access.can_read, "write_ns": access.can_write_ns, "write_ds": access.can_write_ds}
    return tuple(word for word, may in can.items() if may)


def reason_of(reason: str) -> str:
    """Our reason for a plugin's."""
    return OF_PLUGINS.get(reason, reason)


def domain_fault(domain: str, pools: Collection[str], is_suffix: Callable[[str], bool]) -> Violation | None:
    """Why nobody is asked about a domain; None where it may be one that somebody registered."""
    try:
        name = domain_name(domain).rstrip(".")
    except Permanent:
        return Violation("domain", "it is not a domain name", "domain")
    if is_suffix(name):
        return Violation("domain", "it is a public suffix, and nobody's own", "domain.public_suffix")
    if above := next((pool for pool in pools if name.endswith(f".{pool}")), ""):
        return Violation("domain", f"it lies under the pool {above}; reserve it there", "domain.pool")
    return None
