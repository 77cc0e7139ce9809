"""The tables of the catalogue."""

from catalyst_mesh import Json, UtcTime, chassis_tables
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, false

from .policies import guard

metadata = MetaData()

catalogue = Table(
    "catalogue",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)  # fmt: skip - reads as a table
changes = Table(
    "changes", metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("owner_org", Text, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("before", Text, nullable=False),
)  # fmt: skip
sources = Table(
    "sources", metadata,
    Column("id", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("interval_seconds", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("condition", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("synced_at", UtcTime),
    Column("since", UtcTime),
    Column("wished", BigInteger, nullable=False),
    Column("observed", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("last_sync", Json, nullable=False, server_default="{}"),
    Column("secret_ref", Text, nullable=False, server_default=""),
    Column("trust", Json, nullable=False, server_default="{}"),
    Column("rank", Integer),
    Column("prereleases", Boolean, nullable=False, server_default=false()),
    Column("settled_by", Text, nullable=False, server_default=""),
    Column("is_deleted", Boolean, nullable=False, server_default=false()),
)  # fmt: skip
items = Table(
    "items", metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("missed", Integer, nullable=False),
    Column("missing_since", UtcTime),
    Column("has_bytes", Boolean, nullable=False, server_default=false()),
)  # fmt: skip
issues = Table(
    "issues", metadata,
    Column("source", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("message", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
)  # fmt: skip
blueprints = Table(
    "blueprints", metadata,
    Column("owner_org", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("newest", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("orphaned_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
)  # fmt: skip
versions = Table(
    "versions", metadata,
    Column("owner_org", Text, primary_key=True),
    Column("blueprint", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("document", Json, nullable=False),
    Column("changes", Json, nullable=False),
    Column("warnings", Json, nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Column("state_since", UtcTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("verdict", Json, nullable=False, server_default="{}"),
    Column("replacement", Text, nullable=False, server_default=""),
    Column("came_from", Text, nullable=False, server_default=""),
    Column("came_with", Text, nullable=False, server_default=""),
    Index("versions_of_item", "source", "path"),
)  # fmt: skip
offers = Table(
    "offers", metadata,
    Column("kind", Text, primary_key=True),
    Column("slug", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("sort", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("seed_digest", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
)  # fmt: skip
price_books = Table(
    "price_books", metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("valid_from", UtcTime, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("content", Json, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip
artifacts = Table(
    "artifacts", metadata,
    Column("digest", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("archive", LargeBinary, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("said", Json, nullable=False),
    Column("kept_at", UtcTime, nullable=False),
)  # fmt: skip
installations = Table(
    "installations", metadata,
    Column("application", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("blueprint", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("is_removed", Boolean, nullable=False),
    Index("installations_of_organization", "organization"),
)  # fmt: skip
departed = Table(
    "departed", metadata,
    Column("organization", Text, primary_key=True),
    Column("left_at", UtcTime, nullable=False),
    Column("erased_at", UtcTime),
)  # fmt: skip
chassis_tables(metadata)
guard(metadata)
