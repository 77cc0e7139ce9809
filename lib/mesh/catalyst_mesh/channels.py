"""A channel that survives the change of its certificates: stubs keep it, and beneath it a new one takes the old one's place.

Invariants
  no call fails   a call goes to its end on the channel on which it began; a channel is closed when its last call has ended;
  none too old    a call that begins a second after a renewal uses the renewed certificates.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

LOOK = 0.5
"""Seconds between two looks at the files; a look is three calls of the operating system."""


class RenewedChannel(grpc.aio.Channel):
    """Calls go over the newest channel that `build` made.

    build     makes a channel from the certificates as they are now
    version   grows when they have changed
    """

    def __init__(self, build: Callable[[], grpc.aio.Channel], version: Callable[[], int]) -> None:
        self._build = build
        self._version = version
        self._looked_at = time.monotonic()
        self._built_at = version()
        self._newest = _Generation(build())
        self._older: set[_Generation] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def newest(self) -> "_Generation":
        """The generation on which a call begins now."""
        if time.monotonic() - self._looked_at >= LOOK:
            self._looked_at = time.monotonic()
            if (version := self._version()) != self._built_at:
                self._renew(version)
        return self._newest

    def _renew(self, version: int) -> None:
        old, self._newest, self._built_at = self._newest, _Generation(self._build()), version
        self._older.add(old)
        old.retire(self._close_old)

    def _close_old(self, old: "_Generation") -> None:
        self._older.discard(old)
        task = asyncio.get_running_loop().create_task(old.channel.close(None))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self, grace: float | None = None) -> None:
        """Close all channels, with calls under way getting `grace` seconds."""
        generations, self._older = [self._newest, *self._older], set()
        await asyncio.gather(*(one.channel.close(grace) for one in generations), *self._closing)

    async def __aenter__(self) -> "RenewedChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(None)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002, RUF100 - gRPC's
        return self.newest().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._newest.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self.newest().channel.channel_ready()

    def unary_unary(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._late("unary_unary", method, rest, named)

    def unary_stream(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._late("unary_stream", method, rest, named)

    def stream_unary(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._late("stream_unary", method, rest, named)

    def stream_stream(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._late("stream_stream", method, rest, named)

    def _late(self, shape: str, method: str, rest: tuple[Any, ...], named: dict[str, Any]) -> Callable[..., Any]:
        """What a stub keeps for a method: it asks for the channel at each call."""

        def call(*args: Any, **options: Any) -> Any:
            return self.newest().call((shape, method), rest, named)(*args, **options)

        return call


class _Generation:
    """One channel, with the calls that are under way on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._made: dict[tuple[str, str], Callable[..., Any]] = {}
        self._under_way = 0
        self._retired: Callable[[_Generation], None] | None = None

    def call(self, key: tuple[str, str], rest: tuple[Any, ...], named: dict[str, Any]) -> Callable[..., Any]:
        if key not in self._made:
            shape, method = key
            self._made[key] = getattr(self.channel, shape)(method, *rest, **named)
        make = self._made[key]

        def begin(*args: Any, **options: Any) -> Any:
            begun = make(*args, **options)
            self._under_way += 1
            begun.add_done_callback(self._ended)
            return begun

        return begin

    def retire(self, then: Callable[["_Generation"], None]) -> None:
        """Nothing begins here any more; `then` is told when the last call has ended."""
        self._retired = then
        if not self._under_way:
            then(self)

    def _ended(self, _call: object) -> None:
        self._under_way -= 1
        if self._retired is not None and not self._under_way:
            self._retired(self)
