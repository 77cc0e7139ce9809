"""Who asks, as far as seeing Blueprints is concerned, and the one predicate that follows from it."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, and_, or_


@dataclass(frozen=True, slots=True)
class Viewer:
    """Which Blueprints exist for a question.

    organizations   owners whose private Blueprints belong to it
    is_known        whether somebody is signed in; the anonymous meet listed ones only
    """

    organizations: frozenset[str] = frozenset()
    is_known: bool = True


EVERYTHING_PUBLIC = Viewer()


def visible(table: FromClause, viewer: Viewer) -> ColumnElement[bool]:
    """Rows of `blueprints` or `versions` that exist for `viewer`; a private one without an owner exists for nobody."""
    meets = ("listed", "unlisted") if viewer.is_known else ("listed",)
    public = and_(table.c.owner_org == "", table.c.visibility.in_(meets))
    return or_(public, table.c.owner_org.in_(sorted(viewer.organizations)))
