"""Makes a bench of `RegistrarApiSuite` out of a fake registrar and a plugin's hook."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalyst_mesh.clocks import SystemClock
from catalyst_mesh.logs import get_logger
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_sdk.credentials import packed
from catalyst_sdk.registrar import Registrar

from .fake_registrar import FakeDomain, FakeRegistrar, serving
from .registrar_bench import OLD, RegistrarApiBench
from .spoiling import spoiling

GOOD, REJECTED, BROKEN = SecretRef("good"), SecretRef("rejected"), SecretRef("broken")
IMPATIENT = 0.5
"""Seconds for one answer through a proxy, whose faults are to be found soon."""
OF_SILENCE = 0.1
"""The same where no answer ever comes: however slow the machine is, there is none that would be missed."""


@dataclass(frozen=True, slots=True)
class Safe:
    """Secrets of a test, by name."""

    values: Mapping[str, bytes] = field(repr=False)

    async def resolve(self, ref: SecretRef) -> Secret:
        """The value behind `ref`."""
        if ref.name not in self.values:
            raise Permanent("SECRET_NOT_FOUND", f"no secret {ref.name}")
        return Secret(self.values[ref.name])


def made(hook: Callable[[PluginContext], Registrar], safe: Safe, folder: Path, config: Mapping[str, Any]) -> Registrar:
    """A plugin as its host makes it."""
    return hook(PluginContext(SystemClock(), get_logger("test"), safe, folder, config))


@asynccontextmanager
async def api_bench(
    fake: FakeRegistrar,
    hook: Callable[[PluginContext], Registrar],
    folder: Path,
    *,
    base: str = "",
    good: Mapping[str, str],
    rejected: Mapping[str, str],
    broken: Mapping[str, str],
    hidden: tuple[str, ...],
    **more: Any,
) -> AsyncIterator[RegistrarApiBench]:
    """A bench over `fake`, which gets its domain.

    base     path of the API below the fake's address
    hidden   the fields of the credentials that are secret
    more     fields of the bench
    """
    domain = more.get("domain", "acme.example")
    safe = Safe({"good": packed(good), "rejected": packed(rejected), "broken": packed(broken)})
    fake.domains.setdefault(domain, FakeDomain([host.rstrip(".") for host in OLD]))

    def make(port: int | None) -> Registrar:
        patience = 10 if not port else OF_SILENCE if proxy.is_silent else IMPATIENT
        config = {"url": f"http://127.0.0.1:{port or fake.port}{base}", "try_seconds": patience}
        return made(hook, safe, folder, config)

    def show(ns: tuple[str, ...]) -> None:
        fake.domains[domain].ns = [host.rstrip(".") for host in ns]

    def parrot() -> None:
        fake.is_parrot = True

    def lock() -> None:
        fake.domains[domain].locked = True

    async with serving(fake), spoiling(fake.port) as proxy:
        values: dict[str, Any] = {
            "make": make,
            "show": show,
            "finish": fake.finish,
            "writes": lambda: fake.writes,
            "credential": GOOD,
            "rejected": REJECTED,
            "broken": BROKEN,
            "proxy": proxy,
            "asked": lambda: len(fake.seen),
            "parrot": parrot,
            "lock": lock,
            **more,
            "secrets": tuple({one[name] for one in (good, rejected, broken) for name in hidden if name in one}),
        }  # fmt: skip - one table
        yield RegistrarApiBench(**values)
