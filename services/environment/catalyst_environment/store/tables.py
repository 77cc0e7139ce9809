"""The tables. Of each entity the whole stands in `body`; the other columns are those by which it is found."""

from catalyst_mesh import Json, UtcTime, chassis_tables
from catalyst_mesh.journal import journal_tables
from catalyst_mesh.sealing import SEALED
from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text

metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Column("sought", Text, nullable=False, server_default=""),
    # A release that did not know `sought` leaves it as it is: then this is another version than the row's.
    Column("sought_version", BigInteger, nullable=False, server_default="0"),
)  # fmt: skip - reads as a table
members = Table(
    "members", metadata,
    Column("org", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("is_removed", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("members_by_subject", "subject"),
)  # fmt: skip
invitations = Table(
    "invitations", metadata,
    Column("org", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
)  # fmt: skip
environments = Table(
    "environments", metadata,
    Column("id", Text, primary_key=True),
    Column("org", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("environments_by_org", "org"),
)  # fmt: skip
applications = Table(
    "applications", metadata,
    Column("environment", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("org", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("applications_by_repository", "org", "id"),
)  # fmt: skip
policies = Table(
    "policies", metadata,
    Column("environment", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
)  # fmt: skip
promotions = Table(
    "promotions", metadata,
    Column("environment", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("promotions_by_state", "state"),
)  # fmt: skip
webhooks = Table(
    "webhooks", metadata,
    Column("org", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
)  # fmt: skip
webhook_secrets = Table(
    "webhook_secrets", metadata,
    Column("org", Text, primary_key=True),
    Column("webhook", Text, primary_key=True),
    # The webhook's version that began with it.
    Column("number", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False, info=SEALED),
    Column("until_at", UtcTime),
)  # fmt: skip
webhook_deliveries = Table(
    "webhook_deliveries", metadata,
    Column("org", Text, primary_key=True),
    Column("webhook", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("event_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("webhook_deliveries_due", "state", "due_at"),
    Index("webhook_deliveries_age", "created_at"),
)  # fmt: skip
ordered_apps = Table(
    "ordered_apps", metadata,
    Column("order", Text, primary_key=True),
    Column("app", Text, primary_key=True),
    Column("org", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Json, nullable=False),
    Index("ordered_apps_by_org", "org"),
    Index("ordered_apps_by_state", "state"),
)  # fmt: skip
stream_positions = Table(
    "stream_positions", metadata,
    Column("service", Text, primary_key=True),
    Column("life", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)  # fmt: skip
chassis_tables(metadata)
journal_tables(metadata)
