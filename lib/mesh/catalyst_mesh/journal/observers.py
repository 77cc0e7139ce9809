"""Who is told of a run inside the transactions that change it."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from .views import EventView, RunView

OnTransition: TypeAlias = Callable[[AsyncConnection, RunView, EventView], Awaitable[None]]
OnSettled: TypeAlias = Callable[[AsyncConnection, RunView], Awaitable[None]]


class Observer(Protocol):
    """Both calls may only write through the connection that they are given, and may run again when the transaction does."""

    @property
    def transition(self) -> OnTransition | None:
        """Called for each event, with the run as it will be."""

    @property
    def settled(self) -> OnSettled | None:
        """Called once when a run ends, in the transaction of its last event."""
