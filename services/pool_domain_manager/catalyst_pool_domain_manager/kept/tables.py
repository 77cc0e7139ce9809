"""Tables of zones and of what belongs to them."""

from catalyst_mesh import ROW_NUMBER, Json, UtcTime
from catalyst_mesh.journal import journal_tables
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

metadata = MetaData()
zones = Table(
    "zone",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("name_server_set", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("soa", Json, nullable=False),
    Column("signed", Boolean, nullable=False),
    Column("drift_policy", Text, nullable=False),
    Column("change_policy", Text, nullable=False),
    Column("thresholds", Json),
    Column("revision", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("observed_generation", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("told", Text, nullable=False),
    Column("not_before", UtcTime),
    Column("tries", Integer, nullable=False),
    Column("swept_at", UtcTime),
    Column("conditions", Json, nullable=False),
    Index("zone_due", "state", "not_before"),
    Index("zone_owner", "owner"),
)  # fmt: skip - reads as a table
wishes = Table(
    "zone_record_set", metadata,
    Column("zone", Text, primary_key=True), Column("name", Text, primary_key=True),
    Column("type", Text, primary_key=True), Column("ttl", BigInteger, nullable=False),
    Column("records", Json, nullable=False), Column("owner", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)  # fmt: skip
challenges = Table(
    "challenge", metadata,
    Column("zone", Text, primary_key=True), Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True), Column("wanted", Boolean, nullable=False),
    Column("carried", Boolean, nullable=False), Column("revision", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("challenge_due", "carried", "zone"),
)  # fmt: skip
plans = Table(
    "zone_plan", metadata,
    Column("zone", Text, primary_key=True), Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False), Column("body", Json, nullable=False), Column("hash", Text, nullable=False),
    Column("state", Text, nullable=False), Column("reverse_plan", Text, nullable=False),
    Column("reverts", Text, nullable=False), Column("run", Text, nullable=False),
    Column("created_by", Text, nullable=False), Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False), Column("applied_at", UtcTime),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip
imports = Table(
    "zone_import", metadata,
    Column("zone", Text, primary_key=True), Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False), Column("completeness", Text, nullable=False),
    Column("record_sets", Json, nullable=False), Column("wildcard_found", Boolean, nullable=False),
    Column("created_by", Text, nullable=False), Column("created_at", UtcTime, nullable=False),
    Column("left_out", Json, nullable=False, server_default="[]"),
)  # fmt: skip
drifts = Table(
    "drift", metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("zone", Text, nullable=False), Column("kind", Text, nullable=False),
    Column("server", Text, nullable=False), Column("record_name", Text, nullable=False),
    Column("record_type", Text, nullable=False), Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False), Column("wished", Json), Column("observed", Json),
    Column("cause", Text, nullable=False), Column("plan", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False), Column("closed_at", UtcTime),
    Column("version", BigInteger, nullable=False),
    Index("drift_of", "zone", "number"), Index("drift_open", "closed_at", "zone"),
)  # fmt: skip
backends = Table(
    "backend", metadata,
    Column("id", Text, primary_key=True), Column("uid", Text, nullable=False), Column("plugin", Text, nullable=False),
    Column("config", Json, nullable=False), Column("secret_ref", Text, nullable=False),
    Column("thresholds", Json), Column("capabilities", Json), Column("probed_at", UtcTime),
    Column("generation", BigInteger, nullable=False), Column("observed_generation", BigInteger, nullable=False),
    Column("conditions", Json, nullable=False), Column("not_before", UtcTime),
    Column("created_at", UtcTime, nullable=False), Column("updated_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip
server_sets = Table(
    "name_server_set", metadata,
    Column("id", Text, primary_key=True), Column("uid", Text, nullable=False),
    Column("published", Json, nullable=False), Column("polled", Json, nullable=False),
    Column("targets", Json, nullable=False), Column("also_notify", Json, nullable=False),
    Column("glue", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False), Column("updated_at", UtcTime, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip
journal_tables(metadata)
