"""Moments and spans as the contracts carry them, and the type of a servicer's context."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

Context: TypeAlias = ServicerContext[Any, Any]
"""What gRPC hands to a servicer's method."""


def stamp(moment: datetime | None) -> Timestamp | None:
    """A moment; None stays unset."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def span(length: timedelta | float | None) -> Duration | None:
    """A span, from a timedelta or from seconds; None stays unset."""
    if length is None:
        return None
    made = Duration()
    made.FromTimedelta(length if isinstance(length, timedelta) else timedelta(seconds=length))
    return made


def moment(stamped: Timestamp) -> datetime:
    """The moment of a Timestamp, with zone UTC."""
    return stamped.ToDatetime(UTC)
