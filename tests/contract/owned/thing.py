"""Something that belongs to an Organization, and what is asked about it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from ..mesh import Mesh


@dataclass(frozen=True, slots=True)
class Owned:
    """A question about a resource that exists."""

    org: str
    """Whose it is."""
    request: Message
    mark: str
    """Part of its name, found in every answer that tells of it."""
    foreign: Message | None = None
    """What a stranger sends, where it is not the same."""

    is_gone: bool = False
    """Whether its owner hears NOT_FOUND too: of a part that nobody has made yet."""

    def of_none(self) -> bytes:
        """The same question about a resource that never was: equally long, so that nothing but the name differs."""
        asked = (self.foreign or self.request).SerializeToString()
        return asked.replace(self.mark.encode(), self.never.encode())

    @property
    def never(self) -> str:
        """The name that never was."""
        return ("z" if self.mark[0].isalpha() else "9" if self.mark[0] != "9" else "8") + self.mark[1:]


Make = Callable[[Mesh], Awaitable[Owned]]


def at_once(request: Any) -> Message:
    """A question that waits for nothing."""
    if isinstance(request, operations_pb2.WaitOperationRequest):
        request.timeout.FromMilliseconds(1)
    return request  # type: ignore[no-any-return]
