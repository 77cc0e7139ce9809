"""What was read is remembered for the transaction, so that of a decided state only what differs from it is written."""

from typing import Any, TypeVar

from catalyst_mesh import Transaction
from sqlalchemy import Select

from .mapping import of_row

S = TypeVar("S")


class Remembering(Transaction):
    """The part of the store that knows what it has read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[str, Any] = {}

    async def _one(self, kind: type[S], query: Select[Any], *, lock: bool = False) -> S | None:
        row = (await self.sql.execute(query.with_for_update() if lock else query)).mappings().first()
        return self._remember(of_row(kind, row), fresh=lock) if row else None

    async def _many(self, kind: type[S], query: Select[Any]) -> list[S]:
        rows = (await self.sql.execute(query)).mappings().all()
        return [self._remember(of_row(kind, row)) for row in rows]

    def _remember(self, value: Any, *, fresh: bool = False) -> Any:
        """What was read, once per transaction; only what is read under its lock is newer than what was read before."""
        if fresh:
            self._seen[value.name] = value
        return self._seen.setdefault(value.name, value)
