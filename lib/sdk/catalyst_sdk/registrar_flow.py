"""What every registrar with an API does in the same order, so that a plugin only says how its own API is asked.

A plugin writes an `Account`: what can be done, read, write, and what the registrar has in hand. `ApiRegistrar` makes a
`catalyst_sdk.registrar.Registrar` of it:

  in order        judge the wish, read, compare with what the caller read, write, read back;
  never twice     a target that is there, or that the registrar works on, is not written again;
  no memory       a task's id holds the wish, so that any replica can go on; nothing of a registrar's own is needed;
  unknown         a write that was accepted and does not show is Temporary, or RUNNING where changes take their time;
  no secrets      whatever an account raises or says is cleaned of the credential before it leaves.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Protocol, runtime_checkable
from weakref import WeakValueDictionary

from .context import Secrets
from .credentials import Credential, opened
from .failures import NotSupported, Permanent, PluginFailure
from .host_records import HostRecords
from .registrar import (
    Access,
    Delegation,
    DnsKey,
    DsRecord,
    Glue,
    Obstacle,
    RegistrarInfo,
    Target,
    Task,
    TaskState,
    delegation_target,
    domain_name,
    host_name,
)
from .registrar_http import PAUSES, TRY_SECONDS, Api, Transports, unknown
from .secrets import SecretRef

CALL_SECONDS = 30.0
"""Longest time for one call of a plugin, all its requests together."""
REJECTING = frozenset({"CREDENTIALS_REJECTED", "ACCESS_NOT_ENTITLED", "IP_NOT_ALLOWED", "SECRET_NOT_FOUND"})
"""Reasons by which a registrar takes the credential for nothing at all."""


@dataclass(frozen=True, slots=True)
class Work:
    """A change that the registrar has in hand, or that ended badly.

    ns   where it leads, as far as it is told
    """

    failed: bool
    message: str
    ns: tuple[str, ...] = ()


class Account(Protocol):
    """A credential at a registrar, opened for one call. Domains end in a dot, and so do the hosts of a Delegation."""

    async def access(self, domain: str) -> Access:
        """What it can do with the domain. A Permanent that it raises becomes an obstacle."""
        ...

    async def read(self, domain: str) -> Delegation:
        """The delegation as the registrar has it."""
        ...

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        """Make the delegation, which is `present`, be `target`. What the registrar calls success is enough."""
        ...

    async def work(self, domain: str) -> Work | None:
        """What it has in hand for the domain, or what failed last; None where neither is known."""
        ...


@runtime_checkable
class HostingAccount(Account, Protocol):
    """An account whose registrar tells the records that its own name servers have; for who declares `host_records`."""

    async def host_records(self, domain: str) -> HostRecords:
        """Every record of the domain. Raises Permanent("ZONE_NOT_HOSTED") where others' name servers have it."""
        ...


class ApiRegistrar:
    """Implements `catalyst_sdk.registrar.Registrar` over the accounts that `open` makes, and `RecordsHost` beside it."""

    def __init__(
        self,
        info: RegistrarInfo,
        secrets: Secrets,
        open: Callable[[Api, Credential], Account],
        *,
        try_seconds: float = TRY_SECONDS,
    ) -> None:
        self._info = info
        self._secrets = secrets
        self._open = open
        self._try_seconds = try_seconds
        self._pauses = tuple(part * try_seconds for part in PAUSES)
        self._transports = Transports()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def info(self) -> RegistrarInfo:
        return self._info

    async def validate(self, *, credential: SecretRef | None, domain: str) -> Access:
        name = domain_name(domain, self._info.name)
        try:
            async with self._account(credential) as account:
                return await account.access(name)
        except Permanent as refusal:
            if refusal.reason == "PROTOCOL_MISMATCH":
                raise
            return _refused(refusal)

    async def delegation(self, *, credential: SecretRef | None, domain: str) -> Delegation:
        name = domain_name(domain, self._info.name)
        async with self._account(credential) as account:
            return await account.read(name)

    async def host_records(self, *, credential: SecretRef | None, domain: str) -> HostRecords:
        name = domain_name(domain, self._info.name)
        if "host_records" not in self._info.capabilities:
            text = f"{self._info.display_name} does not tell its records by its API"
            raise NotSupported("host_records", text, provider=self._info.name)
        async with self._account(credential) as account:
            return await account.host_records(name)

    async def apply(self, *, credential: SecretRef | None, domain: str, target: Target, expect: str) -> Task:
        name = domain_name(domain, self._info.name)
        wished = self._judged(name, target)
        async with self._turn(name), self._account(credential) as account:
            present = await account.read(name)
            if present.shows(wished):
                return _task(name, wished, TaskState.DONE, self._shown(name))
            work = await account.work(name)
            if work is not None and not work.failed:
                if set(work.ns) == set(wished.ns):
                    return _task(name, wished, TaskState.RUNNING, work.message)
                raise self._conflict(name, "another change of it is under way")
            if present.etag != expect:
                raise self._conflict(name, "it is not what the caller read")
            await account.write(name, wished, present)
            return await self._written(account, name, wished)

    async def task(self, *, credential: SecretRef | None, id: str) -> Task:
        name, wished = _wish(id, self._info.name)
        async with self._account(credential) as account:
            return await self._seen(account, name, wished)

    async def _written(self, account: Account, name: str, wished: Target) -> Task:
        """How far it is just after a write, whose failed reading back makes its outcome unknown."""
        lost = ""
        try:
            task = await self._seen(account, name, wished)
            for pause in self._pauses:
                if task.state is not TaskState.RUNNING or self._is_slow:
                    return task
                await asyncio.sleep(pause)
                task = await self._seen(account, name, wished)
        except PluginFailure as failure:
            lost = failure.message
        if lost:
            raise unknown(self._info.name, f"the change was accepted, and then: {lost}")
        if task.state is TaskState.RUNNING and not self._is_slow:
            raise unknown(self._info.name, f"the change of {name} was accepted and does not show")
        return task

    async def _seen(self, account: Account, name: str, wished: Target) -> Task:
        if (await account.read(name)).shows(wished):
            return _task(name, wished, TaskState.DONE, self._shown(name))
        work = await account.work(name)
        if work is not None and work.failed:
            return _task(name, wished, TaskState.FAILED, work.message)
        waiting = f"{self._info.display_name} has accepted the change of {name} and does not show it yet"
        return _task(name, wished, TaskState.RUNNING, work.message if work else waiting)

    @property
    def _is_slow(self) -> bool:
        return "async_tasks" in self._info.capabilities

    def _shown(self, name: str) -> str:
        return f"{self._info.display_name} shows the delegation of {name}"

    def _conflict(self, name: str, why: str) -> Permanent:
        action = "read the delegation again and make a new plan"
        text = f"the delegation of {name} is not changed: {why}"
        return Permanent("CONFLICT", text, provider=self._info.name, user_action=action)

    def _judged(self, name: str, target: Target) -> Target:
        wished = delegation_target(
            name,
            target.ns,
            ds=target.ds,
            glue=target.glue,
            keys=target.keys,
            min_ns=self._info.min_ns,
            max_ns=self._info.max_ns,
        )  # fmt: skip - one wish
        can = self._info.capabilities
        if "set_ns" not in can and "subdomains" not in can:
            raise NotSupported("set_ns", f"{self._info.display_name} changes no name servers", provider=self._info.name)
        if wished.ds and "set_ds" not in can and "subdomains" not in can:
            text = f"{self._info.display_name} takes no DS by its API"
            action = "enter the DS records at the registrar's site"
            raise NotSupported("set_ds", text, provider=self._info.name, user_action=action)
        if wished.glue and "glue" not in can:
            text = f"{self._info.display_name} takes no addresses of name servers by its API"
            raise NotSupported("glue", text, provider=self._info.name)
        return wished

    def _turn(self, name: str) -> asyncio.Lock:
        """Of two who change one domain by one process the second sees what the first one did."""
        return self._turns.setdefault(name, asyncio.Lock())

    @asynccontextmanager
    async def _account(self, ref: SecretRef | None) -> AsyncIterator["_Veiled"]:
        credential = await opened(self._secrets, ref, self._info.credential_schema, provider=self._info.name)
        api = Api(self._transports, credential, provider=self._info.name, try_seconds=self._try_seconds)
        odd = ""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield _Veiled(self._open(api, credential), credential)
        except PluginFailure as failure:
            raise _veiled(failure, credential)  # noqa: B904 - it is the same failure
        except TimeoutError:
            odd = "time"
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            odd = f"{type(error).__name__} where a field was looked for"
        # Raised out here, or the exception that holds the answer would come along.
        if odd == "time":
            text = f"{self._info.name} did not answer within {CALL_SECONDS:.0f} s"
            raise unknown(self._info.name, text)
        if odd:
            raise api.misunderstood(odd)


class _Veiled:
    """An account whose words are cleaned of the credential."""

    def __init__(self, account: Account, credential: Credential) -> None:
        self._account = account
        self._veil = credential.veil

    async def access(self, domain: str) -> Access:
        access = await self._account.access(domain)
        clean = (Obstacle(*(self._veil(text) for text in asdict(one).values())) for one in access.obstacles)
        return replace(access, obstacles=tuple(clean))

    async def read(self, domain: str) -> Delegation:
        return await self._account.read(domain)

    async def host_records(self, domain: str) -> HostRecords:
        if not isinstance(self._account, HostingAccount):
            raise NotSupported("host_records")
        return await self._account.host_records(domain)

    async def write(self, domain: str, target: Target, present: Delegation) -> None:
        await self._account.write(domain, target, present)

    async def work(self, domain: str) -> Work | None:
        work = await self._account.work(domain)
        return replace(work, message=self._veil(work.message)) if work else None


def _veiled(failure: PluginFailure, credential: Credential) -> PluginFailure:
    """The failure, cleaned. Without what led to it: that may hold a request."""
    failure.message = credential.veil(failure.message)
    failure.args = (failure.message,)
    failure.provider_code = credential.veil(failure.provider_code)
    failure.user_action = credential.veil(failure.user_action)
    failure.metadata = {name: credential.veil(value) for name, value in failure.metadata.items()}
    failure.__cause__ = failure.__context__ = None
    return failure


def _refused(refusal: Permanent) -> Access:
    is_valid = refusal.reason not in REJECTING
    seen = Obstacle(refusal.reason, refusal.message, refusal.provider_code, refusal.user_action)
    return Access(valid=is_valid, can_read=False, can_write_ns=False, can_write_ds=False, obstacles=(seen,))


def hosts(found: object) -> tuple[str, ...]:
    """Host names as a registrar lists them, in order and with their dots. Raises ValueError for what is no list of them."""
    if not isinstance(found, list | tuple):
        raise ValueError("no list")
    named = [one for one in found if str(one).strip()]
    try:
        return tuple(dict.fromkeys(host_name(str(one)) for one in named))
    except Permanent:
        raise ValueError("no host names") from None


def _task(name: str, wished: Target, state: TaskState, message: str) -> Task:
    return Task(_id(name, wished), name, state, message)


def _id(name: str, wished: Target) -> str:
    raw = json.dumps([name, asdict(wished)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _wish(id: str, provider: str) -> tuple[str, Target]:
    """Domain and target of a task's id. Raises Permanent("TASK_NOT_FOUND")."""
    try:
        raw = base64.b64decode(id + "=" * (-len(id) % 4), altchars=b"-_", validate=True)
        name, wished = json.loads(raw)
        target = Target(
            ns=tuple(map(host_name, wished["ns"])),
            ds=tuple(DsRecord(**one) for one in wished["ds"]),
            glue=tuple(Glue(host_name(one["host"]), tuple(one["addresses"])) for one in wished["glue"]),
            keys=tuple(DnsKey(**one) for one in wished["keys"]),
        )
        return domain_name(name, provider), target
    except (ValueError, TypeError, KeyError, AttributeError, Permanent):
        text = "there is no such task"
        raise Permanent("TASK_NOT_FOUND", text, provider=provider) from None
