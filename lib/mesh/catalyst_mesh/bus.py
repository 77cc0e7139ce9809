"""The connection to NATS, and the streams on it. JetStream carries facts; the truth stays in the databases."""

import asyncio
from datetime import timedelta
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from .facts import SUBJECT_ROOT, stream_of
from .logs import get_logger

PATIENCE = 2.0
"""Seconds for a connection or an acknowledgement, after which the work is tried again."""
KEPT = timedelta(days=7)
"""Age at which a stream drops an event, as long as the outbox keeps it: what the stream still holds may be delivered again
to a consumer that was made anew, and must meet its inbox row (`retention`)."""
DEAD_LETTERS_KEPT = timedelta(days=30)
DUPLICATE_WINDOW = timedelta(seconds=120)
DEAD_LETTERS = "CATALYST_DLQ"
WORKSPACES = "CATALYST_WORKSPACES"


class Bus:
    """One connection that comes back by itself for as long as the daemon lives."""

    def __init__(self, url: str, name: str, token: str = "") -> None:
        self._url = url
        self._name = name
        self._token = token
        self._log = get_logger("bus")
        self._client: Client | None = None
        self._known: set[str] = set()
        self._attempt: asyncio.Task[Client] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a publish could work now."""
        return self._client is not None and self._client.is_connected

    @property
    def server_version(self) -> str:
        """Version of the server, as it told at the last connection; empty before the first."""
        if self._client is None or not self._client.is_connected:
            return ""
        version = self._client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    async def answers(self) -> bool:
        """Whether the server can be reached, connecting where nobody has yet."""
        try:
            await self.jetstream()
        except (nats.errors.Error, OSError, TimeoutError):
            return False
        return self.is_connected

    async def jetstream(self) -> JetStreamContext:
        """A JetStream context. Raises as `client`."""
        return (await self.client()).jetstream(timeout=PATIENCE)

    async def client(self) -> Client:
        """The connection. Raises what the client raises, or TimeoutError, while the server is away.

        Whoever asks while somebody waits for it waits for the same attempt: one after the other they would wait for ever longer.
        """
        if self._client is None or self._client.is_closed:
            if self._attempt is None or self._attempt.done():
                self._attempt = asyncio.create_task(self._connect())
                self._attempt.add_done_callback(_heard)
            return await asyncio.shield(self._attempt)
        return self._client

    async def _connect(self) -> Client:
        self._known.clear()
        client = Client()
        try:
            # Once connected the client comes back by itself; the first connection must not wait for ever.
            async with asyncio.timeout(PATIENCE):
                await client.connect(
                    self._url,
                    name=self._name,
                    token=self._token or None,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,  # type: ignore[arg-type]  # it sleeps so long; any number will do
                    connect_timeout=1,
                    error_cb=self._error,
                    disconnected_cb=self._lost,
                )
        except BaseException:
            await client.close()  # what was opened already
            raise
        self._client = client  # also where all who waited have gone: whoever closes the bus closes it
        return client

    async def ensure_stream(self, service: str) -> str:
        """Make the stream of `service` where it is absent; its name. Any daemon may be the first to ask."""
        return await self._ensure(stream_of(service), [f"{SUBJECT_ROOT}.{service}.>"], KEPT)

    async def ensure_workspaces(self) -> str:
        """Make the stream of runtime facts of Environments where it is absent; its name."""
        return await self._ensure(WORKSPACES, ["ws.>"], KEPT)

    async def ensure_dead_letters(self) -> str:
        """Make the stream of given-up events where it is absent; its name."""
        return await self._ensure(DEAD_LETTERS, ["catalyst.dlq.>"], DEAD_LETTERS_KEPT)

    async def _ensure(self, name: str, subjects: list[str], kept: timedelta) -> str:
        if name in self._known:
            return name
        js = await self.jetstream()
        config = StreamConfig(
            name=name,
            subjects=subjects,
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=kept.total_seconds(),
            duplicate_window=DUPLICATE_WINDOW.total_seconds(),
        )
        try:
            await js.stream_info(name)
        except NotFoundError:
            try:
                await js.add_stream(config)
            except BadRequestError as error:
                if error.err_code != 10058:  # another daemon made it meanwhile
                    raise
        self._known.add(name)
        return name

    def forget_streams(self) -> None:
        """Ask again whether streams exist; a wiped server has lost them."""
        self._known.clear()

    async def close(self) -> None:
        """Flush and leave."""
        if self._attempt is not None and not self._attempt.done():
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        if self._client is not None:
            await _not_coming_back(self._client)
            if not self._client.is_closed:
                try:
                    await self._client.close()
                except (nats.errors.Error, OSError, RuntimeError) as error:
                    # It writes what waits into a connection that may have gone already; what else is to be closed must be.
                    self._log.debug("bus not flushed", error=repr(error))

    async def _error(self, error: Exception) -> None:
        self._log.debug("bus error", error=repr(error))

    async def _lost(self, *_: Any) -> None:
        self._known.clear()


async def _not_coming_back(client: Client) -> None:
    """End its attempts to connect again. It waits with `asyncio.wait_for`, which swallows a cancellation now and then (see
    `waits`), and then goes on for ever: it is cancelled until it heeds that."""
    again = client._reconnection_task
    while again is not None and not again.done():
        again.cancel()
        await asyncio.wait({again}, timeout=0.1)


def _heard(attempt: "asyncio.Task[Client]") -> None:
    """Its failure is nobody's news where all who waited have been cancelled."""
    if not attempt.cancelled():
        attempt.exception()
