"""What the suites of registrars are run against: a registrar with a domain, and how it is made to show, fail and forget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import SecretRef
from catalyst_sdk.registrar import Delegation, DnsKey, DsRecord, RecordsHost, Registrar, Target, Task

from .spoiling import SpoilingProxy

OLD = ("ns1.old.example.", "ns2.old.example.")
NEW = ("ns1.new.example.", "ns2.new.example.")
KEY = DnsKey(2371, 257, 13, "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==")
"""A key, and below its DS in the domain `acme.example.`; benches of other domains state their own."""
DS = DsRecord(2371, 13, 2, "3ab117cd96d8405e245daf9cc1d999c708555efe11eb504792390111e8058986")


@dataclass(kw_only=True)
class RegistrarBench:
    """A registrar with one domain that it may change.

    make      a plugin as its host makes it, over the registrar; a port stands for a proxy before it
    show      makes the registrar show a delegation, whatever it shows now
    finish    brings to its end what the registrar has in hand
    writes    how many changes it was asked for; None where nobody counts
    ds        DS records with their keys, for `domain`
    """

    make: Callable[[int | None], Registrar]
    show: Callable[[tuple[str, ...]], Any]
    finish: Callable[[], Any]
    writes: Callable[[], int | None]
    domain: str = "acme.example"
    credential: SecretRef | None = None
    ds: tuple[tuple[DsRecord, ...], tuple[DnsKey, ...]] = ((DS,), (KEY,))

    @property
    def plugin(self) -> Registrar:
        return self.make(None)

    async def read(self, plugin: Registrar | None = None) -> Delegation:
        return await (plugin or self.plugin).delegation(credential=self.credential, domain=self.domain)

    async def apply(self, target: Target, *, expect: str | None = None, plugin: Registrar | None = None) -> Task:
        """Read, then write, as a host does."""
        one = plugin or self.plugin
        etag = (await self.read(one)).etag if expect is None else expect
        return await one.apply(credential=self.credential, domain=self.domain, target=target, expect=etag)

    async def done(self, target: Target) -> Task:
        """Apply, and wait for the end."""
        task = await self.apply(target)
        await done_by(self.finish())
        return await self.plugin.task(credential=self.credential, id=task.id)


@dataclass(kw_only=True)
class RegistrarApiBench(RegistrarBench):
    """A registrar over HTTP with an account.

    strange    a domain that is not in the account
    rejected   a credential in the right form that the registrar does not take
    broken     a credential that lacks a field
    proxy      between `make(proxy.port)` and the registrar
    write      how the request begins that changes something, as `METHOD path`; empty where reads look alike
    secrets    values that nothing may show
    asked      how many requests arrived
    parrot     makes the registrar answer everything with what it was sent
    lock       locks the domain; None where the registrar shows no locks
    """

    strange: str = "stranger.example"
    rejected: SecretRef
    broken: SecretRef
    proxy: SpoilingProxy
    write: str
    secrets: tuple[str, ...]
    asked: Callable[[], int]
    parrot: Callable[[], Any]
    lock: Callable[[], Any] | None = None


async def records(bench: RegistrarBench) -> dict[tuple[str, str, int], tuple[str, ...]]:
    """What the registrar's own name servers have, by name, type and lifetime; what it leaves out, by `left out`."""
    plugin = bench.plugin
    assert isinstance(plugin, RecordsHost)
    found = await plugin.host_records(credential=bench.credential, domain=bench.domain)
    left: dict[tuple[str, str, int], tuple[str, ...]] = {("left out", one, 0): () for one in found.left_out}
    return {(r.name, r.type, r.ttl): r.records for r in found.record_sets} | left


async def done_by(given: Any) -> Any:
    """The end of what a bench was asked for, whether or not it has to be awaited."""
    return await given if asyncio.iscoroutine(given) else given
