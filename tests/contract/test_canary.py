"""Secrets go in by every door, and come out by none: seven real daemons as processes, and a search in all that they leave.

Each place is searched for something known as well, that came in the same way: a canary that cannot sing proves nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import Any

import catalyst_cloud_sandbox
import httpx
import pytest
import pytest_asyncio
from catalyst_mesh.settings import SettingsFault
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_testkit import eventually
from catalyst_testkit.dumps import dump
from catalyst_testkit.fake_registrar import FakeRegistrar, serving
from catalyst_testkit.postgres import FAST, PostgresServer, postgres_server
from catalyst_testkit.powerdns import PowerDnsServer
from catalyst_testkit.processes import nursery
from catalyst_testkit.servers import nats_server

from .aviary import NAMES, OWN_FILES, READS, SETTINGS, Aviary, collector, drawn, hatch
from .doors import open_the_safes
from .forms import forms
from .singing import sing

EXPECTED = {
    "registrar_account.sealed",
    "provider_secret.sealed",
    "own_key.sealed",
    "webhook_secrets.sealed",
    "credential.value",
    "reservation.token",
}
"""Sealed columns of which values were kept when all was sung."""
ON_POSTGRES = ("pooldomain", "billing", "provisioner", "environment")
"""The daemons that keep secrets are those whose statements the server's log shows."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def talkative() -> Iterator[PostgresServer]:
    """A PostgreSQL that writes each statement into its log, with the values that it was given: the worst that operators set."""
    with postgres_server((*FAST, "log_statement=all", "log_error_verbosity=verbose")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aviary(talkative: PostgresServer, powerdns: PowerDnsServer, tmp_path_factory: Any) -> AsyncIterator[Aviary]:
    bird, known = drawn("b", 8), {"nats": drawn(), "database": drawn(), "plugin": drawn(), "login code": drawn()}
    home = tmp_path_factory.mktemp(bird)
    databases = {name: f"sqlite+aiosqlite:///{home}/{name}/daemon.db" for name in SETTINGS}
    for name in ON_POSTGRES:
        # Whoever asks from this machine is let in, so any password does.
        url = await talkative.database()
        databases[name] = url.replace("postgres@", f"postgres:{known['database']}@")
        assert known["database"] in databases[name]
    with (
        nats_server(known["nats"]) as nats,
        nursery("catalyst_mesh.otlp", *(f"{package}.app" for package, _, _ in SETTINGS.values())) as born,
    ):
        made = Aviary(home, nats, databases, bird, known)
        async with AsyncExitStack() as stack:
            parrot = FakeRegistrar()
            parrot.is_parrot = True
            made.parrot = (await stack.enter_async_context(serving(parrot))).port
            made.collector = await stack.enter_async_context(collector(made.spans))
            for name in SETTINGS:
                stack.push_async_callback((await hatch(made, born, name, powerdns.url)).close)
            await asyncio.gather(*(made.one(name).serves() for name in SETTINGS))
            try:
                await sing(made, born)
                yield made
            finally:
                await asyncio.to_thread(catalyst_cloud_sandbox.power_off, home / "provisioner" / "sandbox")


async def places(aviary: Aviary, server: PostgresServer) -> AsyncIterator[tuple[str, bytes, str]]:
    """Where secrets could be: what it is, what is in it, and what is known to be in it."""
    for name, made in aviary.replicas.items():
        log = made.all[0].log.read_bytes()
        yield (
            f"log of {name}",
            log,
            aviary.bird if name != "fallen" else "database_url" if b"database_url" in log else "Error",
        )
    yield "log of PostgreSQL", (server.home / "log").read_bytes(), aviary.bird
    yield "what callers heard", "\n".join(aviary.heard).encode(), aviary.bird
    yield "traces", b"".join(aviary.spans), NAMES
    yield "the bus", b"".join(p.read_bytes() for p in (aviary.nats.home / "js").rglob("*") if p.is_file()), aviary.bird
    for name, url in aviary.databases.items():
        yield (
            f"database of {name}",
            await dump(url),
            aviary.bird if name in ON_POSTGRES else "alembic_version",
        )
    async with httpx.AsyncClient() as http:
        for name in SETTINGS:
            answer = await http.get(f"http://127.0.0.1:{aviary.one(name).side}/metrics")
            yield f"metrics of {name}", answer.content, READS[name]
    for name in SETTINGS:
        yield f"settings of {name}", printed(aviary, name), aviary.bird
    for path in aviary.home.rglob("*"):
        # The simulated cloud is outside: what its servers boot with, their tokens too, lies there as at any cloud.
        is_ours = path.name not in OWN_FILES and path.parent.name != "secrets" and "accounts" not in path.parts
        if path.is_file() and is_ours:
            with suppress(FileNotFoundError):
                yield str(path), path.read_bytes(), ""


def printed(aviary: Aviary, name: str) -> bytes:
    """What a daemon prints of its settings, and what they are in a traceback."""
    package, kind, prefix = SETTINGS[name]
    env = {key: value for key, value in aviary.one(name).env.items() if key.startswith("CATALYST_")}
    settings = getattr(import_module(f"{package}.settings"), kind).load(env, argv=[])
    assert settings.describe(env).count(prefix) > 10
    return f"{settings.describe(env)}\n{settings!r}\n{settings}".encode()


async def test_no_secret_is_found_where_what_is_known_is(aviary: Aviary, talkative: PostgresServer) -> None:
    kept = await open_the_safes(aviary)
    sought = {name: [*forms(secret)] for name, secret in (aviary.secrets | kept).items()}
    assert len(aviary.secrets) >= 30
    assert {name.split(" ")[0] for name in kept} >= EXPECTED
    traced = [method.encode() for method in READS.values()]
    await eventually(lambda: all(m in b"".join(aviary.spans) for m in traced), within=60, what="all daemons sent spans")
    found, looked, silent = [], 0, []
    async for place, content, known in places(aviary, talkative):
        looked += 1
        silent += [place] if known and known.encode() not in content else []
        found += [
            f"{name}, {way}, in {place}" for name, ways in sought.items() for way, form in ways if form in content
        ]
    assert silent == [], "a place in which nothing is found that is there proves nothing"
    assert not found, "\n".join(found)
    assert looked > 30


async def test_a_setting_that_cannot_be_read_is_named_and_not_told() -> None:
    """Text that is no JSON holds whatever somebody meant to write there."""
    word = drawn()
    env = {
        "CATALYST_PDM_PLUGINS": f'{{"key": "{word}',
        "CATALYST_PDM_NATS_TOKN": word,
        "CATALYST_PDM_SWEEP_INTERVAL": word,
    }
    with pytest.raises(SettingsFault) as refused:
        PdmSettings.load(env, argv=[])
    said = f"{refused.value} {refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert all(variable in said for variable in env)
    assert word not in said
