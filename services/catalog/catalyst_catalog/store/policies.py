"""Row-level security behind the predicate of `viewers`: PostgreSQL itself shows a viewer what exists for it, and no more.

A question by a viewer is asked between `seen_by` and its end; whatever predicate the query has or forgot, rows that the
viewer may not see are not there. Without a viewer all rows are: syncs and people who decide of versions work on all of them, the
release before knows of no viewer, and a dump (`pg_dump --enable-row-security`) has everything. Superusers and roles with
BYPASSRLS are not held by it, so a daemon's role should be neither. The migrations have the same statements, word for word.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import DDL, MetaData, event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .viewers import Viewer

_KNOWN = "!known"
"""Among the owners: somebody is signed in. No Organization can be called so."""
_SEES = "(SELECT string_to_array(nullif(current_setting('catalyst.viewer', true), ''), ' '))"

POLICIES = tuple(
    statement
    for table in ("blueprints", "versions")
    for statement in (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY seen ON {table} USING ({_SEES} IS NULL OR (owner_org <> '' AND {_SEES} @> ARRAY[owner_org]) "
        f"OR (owner_org = '' AND (visibility = 'listed' OR (visibility = 'unlisted' AND {_SEES} @> ARRAY['{_KNOWN}']))))",
    )
)

_SET = text("SELECT set_config('catalyst.viewer', :viewer, true)")


def guard(metadata: MetaData) -> None:
    """Make the policies together with the tables."""
    for statement in POLICIES:
        ddl = DDL(statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        event.listen(metadata, "after_create", ddl)


@asynccontextmanager
async def seen_by(sql: AsyncConnection, viewer: Viewer) -> AsyncIterator[None]:
    """For the block `sql` shows what `viewer` may see. Where the block fails, the transaction ends with it."""
    # A viewer without Organizations who is not known sees what is listed: one word that nobody is called says so.
    words = " ".join([_KNOWN if viewer.is_known else "!", *sorted(viewer.organizations)])
    await sql.execute(_SET, {"viewer": words})
    yield
    await sql.execute(_SET, {"viewer": ""})
