"""What errors of the database tell: the statement and the constraint, and no value of a row.

They are written to the log and kept with dead letters. PostgreSQL quotes values in its details (`Key (token)=(…) already
exists`, `Failing row contains (…)`) and, of data that it cannot read, in the message too; so does the driver.
"""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

QUIET = {"hide_parameters": True}
"""Of each engine."""

_ABOUT_DATA = "22"
"""Class of the SQLSTATEs that are about a value itself: wherever it stands in their message, it stands there."""
_ADDED = re.compile(r"\n(?:DETAIL|HINT|CONTEXT):.*", re.DOTALL)
_MESSAGE = re.compile(r"(?P<kind><class '[\w.]+'>: )?(?P<what>invalid input for query argument \$\d+)?.*", re.DOTALL)


def quiet(engine: AsyncEngine) -> AsyncEngine:
    """The same engine, whose errors quote nothing from now on."""
    event.listen(engine.sync_engine, "handle_error", _hush)
    return engine


def _hush(context: ExceptionContext) -> None:
    errors = list(_behind(context.sqlalchemy_exception or context.original_exception))
    about_data = any(str(getattr(error, "sqlstate", None) or "").startswith(_ABOUT_DATA) for error in errors)
    for error in errors:
        error.args = tuple(_cut(part, about_data) if isinstance(part, str) else part for part in error.args)
        for quoting in ("detail", "hint", "context"):
            if getattr(error, quoting, None):
                setattr(error, quoting, None)


def _cut(text: str, about_data: bool) -> str:
    if not about_data:
        return _ADDED.sub("", text)
    found = _MESSAGE.match(text)
    assert found, "it matches everything"
    return f"{found['kind'] or ''}{found['what'] or 'a value cannot be taken'}"


def _behind(error: Any) -> Iterator[Any]:
    """The error, and those that it wraps or was raised from: a traceback shows all of them."""
    seen: list[Any] = []
    waiting = [error]
    while waiting:
        if (one := waiting.pop()) is not None and all(one is not other for other in seen):
            seen.append(one)
            yield one
            waiting += [getattr(one, "orig", None), one.__cause__]
