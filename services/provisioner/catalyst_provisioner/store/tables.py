"""The provisioner's tables."""

from catalyst_mesh import SEALED, Json, UtcTime, chassis_tables
from catalyst_mesh.journal import journal_tables
from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

sovereigns = Table(
    "sovereign",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("organization", Text, nullable=False, index=True),
    Column("fqdn", Text, nullable=False),
    # The name while the Sovereign is not destroyed, else null: one live owner per name, by constraint.
    Column("holds", Text, unique=True),
    Column("spec", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("order", Text, nullable=False),
    Column("activated_at", UtcTime),
    Column("destroyed_at", UtcTime),
    Column("applied_generation", BigInteger, nullable=False),
    Column("lock_digest", Text, nullable=False),
    Column("last_plan", Text, nullable=False),
    Column("last_run", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("report", Json),
)  # fmt: skip - reads as a table

facts = Table(
    "sovereign_fact", metadata,
    # What was observed of the whole: name held, DNS served, console probed, tree committed; with its moment.
    Column("sovereign", Text, primary_key=True),
    Column("fact", Text, primary_key=True),
    Column("value", Json),
    Column("at", UtcTime, nullable=False),
)  # fmt: skip

plans = Table(
    "plan", metadata,
    Column("id", Text, primary_key=True),
    Column("sovereign", Text, nullable=False, index=True),
    Column("intent", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("body", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)  # fmt: skip

ledger = Table(
    "ledger", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    # Order of intent; what was intended last goes first.
    Column("position", BigInteger, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("provider", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("price", Json),
    Column("run", Text, nullable=False),
    Column("leftover", Boolean, nullable=False),
    # Who keeps it; empty: the plugin of its provider.
    Column("manager", Text, nullable=False, server_default=""),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)  # fmt: skip

clusters = Table(
    "cluster", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("spec", Json, nullable=False),
    # What the cloud showed after the last apply, and when.
    Column("made", Json),
    Column("made_at", UtcTime),
    Column("plugin_state", LargeBinary, info=SEALED),
    Column("git_password", LargeBinary, info=SEALED),
    Column("enrolled_at", UtcTime),
    Column("heartbeat_at", UtcTime),
    Column("heartbeat", Json),
    Column("inventory", Json),
    Column("last_command", BigInteger, nullable=False),
)  # fmt: skip

components = Table(
    "component", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("needs", Json, nullable=False),
    Column("optional", Boolean, nullable=False),
    Column("wished_version", Text, nullable=False),
    Column("wished_digest", Text, nullable=False),
    Column("release", Json),
    Column("probe_passed", Boolean),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("was_ready", Boolean, nullable=False),
    Column("observed_at", UtcTime),
)  # fmt: skip

enrolments = Table(
    "enrolment", metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("sovereign", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("server", Text, nullable=False),
    # Sealed, until the server has enrolled.
    Column("token", LargeBinary, info=SEALED),
    Column("expires_at", UtcTime, nullable=False),
    Column("server_id", Text, nullable=False),
    Column("public_key_sha256", Text, nullable=False),
    Column("answer", LargeBinary, info=SEALED),
    # Highest number of the agent's reports that is committed.
    Column("last_report", BigInteger, nullable=False),
    Index("enrolment_server", "sovereign", "cluster", "server", unique=True),
)  # fmt: skip

joins = Table(
    # Tokens by which the servers of a cluster know one another, and where it was made.
    "cluster_join", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("server_token", LargeBinary, nullable=False, info=SEALED),
    Column("worker_token", LargeBinary, nullable=False, info=SEALED),
    Column("endpoint", Text, nullable=False),
)  # fmt: skip

commands = Table(
    "agent_command", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    # Who is to do it; null: any server of the control plane.
    Column("server", Text),
    Column("code", Text),
    Column("message", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("done_at", UtcTime),
    # Names of what the command left.
    Column("remaining", Json),
)  # fmt: skip

reservations = Table(
    "reservation", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("allocation", Text, nullable=False),
    Column("token", LargeBinary, nullable=False, info=SEALED),
    Column("expires_at", UtcTime, nullable=False),
    # reserved, committed, lost or released; only what is reserved is renewed.
    Column("state", Text, nullable=False),
    # How often the name was reserved; a repeat of one reservation carries the same request id.
    Column("tries", Integer, nullable=False),
)  # fmt: skip

credentials = Table(
    "credential", metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("value", LargeBinary, nullable=False, info=SEALED),
    Column("creator", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip

credential_records = Table(
    "credential_record", metadata,
    Column("id", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    # Number of the newest value.
    Column("newest", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("last_check", Json),
)  # fmt: skip

grants = Table(
    "access_grant", metadata,
    Column("id", Text, primary_key=True),
    Column("sovereign", Text, nullable=False, index=True),
    Column("uid", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("cluster", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("grantee", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ttl", Float, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("command", BigInteger, nullable=False),
    # Sealed, from the agent's word until it is answered.
    Column("token", LargeBinary, info=SEALED),
    Column("ca_bundle", Text, nullable=False),
    Column("revoked_at", UtcTime),
    Column("revoked_by", Text, nullable=False),
    Column("revoke_reason", Text, nullable=False),
)  # fmt: skip

component_lines = Table(
    "component_log", metadata,
    # What controllers wrote of a component, as its cluster's agent told it; the component is empty for the first boot.
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("component", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("truncated", Boolean, nullable=False),
)  # fmt: skip

states = Table(
    "plugin_state", metadata,
    # What a plugin kept of a cluster, sealed; the newest also stands with the cluster.
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", LargeBinary, nullable=False, info=SEALED),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip

applied = Table(
    "applied", metadata,
    # What the last successful run made true, whole: to this a cancelled change goes back.
    Column("sovereign", Text, primary_key=True),
    Column("body", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)  # fmt: skip

told = Table(
    "told", metadata,
    # A copy of what went out of the outbox, which keeps it for days only: for a Sovereign's life, and ninety days more.
    Column("aggregate", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip

workload_lists = Table(
    # What an Environment's daemon wished last of a cluster.
    "workload_list", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    # Number of the command that carries the list, and the highest of such that the agent has told of.
    Column("command", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("wished", Json, nullable=False),
)  # fmt: skip

workloads = Table(
    # What the agent told last; of what is wished and not there yet there is no row.
    "workload", metadata,
    Column("sovereign", Text, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("seen", Json, nullable=False),
    Column("was_ready", Boolean, nullable=False),
    Column("observed_at", UtcTime, nullable=False),
)  # fmt: skip

chassis_tables(metadata)
journal_tables(metadata)
