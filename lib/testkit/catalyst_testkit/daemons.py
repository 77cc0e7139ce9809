"""A daemon under test: the real one, over real gRPC and NATS, in the test's own process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
from catalyst_mesh import Daemon, DaemonSettings, Issuer, connect, explain

Stub = TypeVar("Stub")
PATIENCE = 60.0
"""Seconds that a test's call may take where it states nothing else: a busy machine is no fault of what is tested."""


class RunningDaemon:
    """Calls a daemon as whoever the test wants to be."""

    def __init__(self, daemon: Daemon, issuer: Issuer) -> None:
        self.daemon = daemon
        self.issuer = issuer
        self._channels: list[grpc.aio.Channel] = []

    @property
    def target(self) -> str:
        """Address of its gRPC port."""
        return f"127.0.0.1:{self.daemon.ports[0]}"

    @property
    def side(self) -> str:
        """URL of its second port."""
        return f"http://127.0.0.1:{self.daemon.ports[1]}"

    def stub(
        self,
        stub: Callable[[grpc.aio.Channel], Stub],
        subject: str = "somebody",
        *,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
        service: str = "",
        token: str | None = None,
    ) -> Stub:
        """A generated stub whose calls carry a signed token with these claims; `token=""` sends none."""
        signed = self.issuer.token(subject, roles=roles, groups=groups, service=service) if token is None else token
        channel = connect(self.target, token=lambda: signed, deadline=PATIENCE)
        self._channels.append(channel)
        return stub(channel)

    def admin(self, stub: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A stub as sovereign-admin."""
        return self.stub(stub, "admin", roles=["sovereign-admin"])

    def member(self, stub: Callable[[grpc.aio.Channel], Stub], org: str, role: str = "org-admin") -> Stub:
        """A stub as a member of `org`."""
        return self.stub(stub, f"{role}@{org}", groups=[f"/{org}/{role}"])

    async def close(self) -> None:
        """Close the channels of all stubs."""
        for channel in self._channels:
            await channel.close(None)


@asynccontextmanager
async def running(
    compose: Callable[[Any], Awaitable[Daemon]], settings: type[DaemonSettings], home: Path, **values: Any
) -> AsyncIterator[RunningDaemon]:
    """Run a daemon for the block.

    compose    the daemon's own composition root
    settings   its settings class; `values` are its fields, the rest points into `home`
    home       folder for database, keys and plugins; a second run on it is a restart
    """
    issuer = Issuer.open(home / "issuer")
    own_token = home / "token"
    own_token.write_text(issuer.token("test-daemon", service=values.pop("service", "test")))
    fields: dict[str, Any] = {
        "database_url": f"sqlite+aiosqlite:///{home}/test.db",
        "jwks_file": home / "issuer" / "jwks.json",
        "token_file": own_token,
        "data_folder": home,
        "drain_seconds": 0.0,
        **values,
    }
    daemon = await compose(settings(**fields))
    started, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(daemon.run(started=started, stop=stop))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    client = RunningDaemon(daemon, issuer)
    try:
        yield client
    finally:
        await client.close()
        stop.set()
        await task


async def reason_of(call: Awaitable[object]) -> str:
    """`OK`, or the reason with which the call was refused."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return explain(error).reason or error.code().name
    return "OK"
