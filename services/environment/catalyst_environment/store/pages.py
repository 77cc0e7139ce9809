"""Pages of lists that begin with the newest: cut by the database, which reads no more than it shows."""

from datetime import UTC, datetime
from typing import Any, Protocol

from catalyst_mesh import Page
from catalyst_mesh.paging import PageTokenInvalid
from sqlalchemy import Select, Table, tuple_


class Placed(Protocol):
    """What has its place in such a list by when it was made."""

    @property
    def created_at(self) -> datetime: ...
    @property
    def id(self) -> str: ...


def place(one: Placed) -> list[str]:
    """Where it stands in its list: the key of `Page.cut`."""
    return [one.created_at.isoformat(), one.id]


def newest(query: Select[Any], table: Table, page: Page) -> Select[Any]:
    """One more row than the page holds, of a table with `created_at` and `id`. Raises PageTokenInvalid."""
    c = table.c
    if page.after is not None:
        query = query.where(tuple_(c.created_at, c.id) < tuple_(*_place(page.after)))
    return query.order_by(c.created_at.desc(), c.id.desc()).limit(page.size + 1)


def _place(after: Any) -> tuple[datetime, str]:
    """A token is bound to its list, and not signed: what it holds may be anybody's."""
    try:
        moment, id = after
        return datetime.fromisoformat(moment).astimezone(UTC), str(id)
    except (TypeError, ValueError, OverflowError) as error:
        raise PageTokenInvalid from error
