"""What a server is asked by SQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from catalyst_sdk import Temporary

from .place import PROVIDER, Configured, Place

TABLES = """
CREATE SCHEMA IF NOT EXISTS catalyst;
CREATE TABLE IF NOT EXISTS catalyst.epoch
  (epoch bigint PRIMARY KEY, region text NOT NULL, at pg_lsn NOT NULL, began timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS catalyst.canary (n bigint PRIMARY KEY, epoch bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
"""
_FACTS = """
SELECT pg_is_in_recovery() AS standby, c.system_identifier::text AS system, k.timeline_id AS timeline,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END::text AS received,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text AS replayed,
  CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE (pg_last_committed_xact()).timestamp END AS at,
  CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END AS file,
  (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep') AS waiting,
  r.received_tli AS pulling, r.status AS stream, r.sender_port AS sender,
  to_regclass('catalyst.epoch') IS NOT NULL AS known
FROM pg_control_system() c, pg_control_checkpoint() k LEFT JOIN pg_stat_wal_receiver r ON true
"""
_TURNS = "SELECT epoch, at::text FROM catalyst.epoch ORDER BY epoch"
_STANDBYS = "SELECT application_name, state, sync_state, replay_lsn::text FROM pg_stat_replication"


Turn = tuple[int, int]
"""An epoch, and the log position at which its primary began."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of itself; log positions as numbers.

    turns      which epoch began where, as its log tells it
    standbys   of a primary: position that each streaming one has replayed, where it is synchronous
    waiting    commits that a synchronous standby has not confirmed yet
    pulls      of a standby: the port of whom it pulls from now, and on which timeline; 0: from nobody
    """

    standby: bool
    system: str
    timeline: int
    received: int
    replayed: int
    committed_ms: int | None
    turns: tuple[Turn, ...]
    standbys: Mapping[str, int]
    pulls: tuple[int, int]
    waiting: int = 0

    @property
    def epoch(self) -> int:
        """The newest epoch that its log tells of."""
        return self.turns[-1][0] if self.turns else 0


class Line:
    """Connections to the servers, one a question."""

    def __init__(self, configured: Configured) -> None:
        self._c = configured

    def source(self, place: Place, name: str = "") -> str:
        """How PostgreSQL's own programs reach a server; `name`: of the standby that pulls."""
        words = {"host": place.host, "port": str(place.port), "user": self._c.user, "dbname": "postgres"}
        if name:
            words["application_name"] = name
        return " ".join(f"{key}={value}" for key, value in words.items())

    @asynccontextmanager
    async def to(self, place: Place) -> AsyncIterator[asyncpg.Connection]:
        """A connection. Raises Temporary where there is no answer in time, or another than was asked for."""
        connection = None
        try:
            connection = await asyncpg.connect(
                host=place.host,
                port=place.port,
                user=self._c.user,
                database="postgres",
                timeout=self._c.patience,
                command_timeout=self._c.patience,
                ssl=False,
            )  # fmt: skip - one call
            yield connection
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            why = f"the server of {place.region} does not answer: {type(error).__name__}"
            raise Temporary(why, provider=PROVIDER, provider_code=getattr(error, "sqlstate", "") or "") from error
        finally:
            if connection is not None:
                # Not `close`: a commit that waits for a standby must not be cancelled, which would tell it to be done.
                connection.terminate()

    async def facts(self, place: Place) -> Facts:
        """What a server says of itself. Raises Temporary."""
        async with self.to(place) as sql:
            row = await sql.fetchrow(_FACTS)
            turns = await sql.fetch(_TURNS) if row["known"] else []
            standbys = {} if row["standby"] else {s["application_name"]: s for s in await sql.fetch(_STANDBYS)}
        replayed = number(row["replayed"])
        return Facts(
            row["standby"],
            row["system"],
            int(row["file"][:8], 16) if row["file"] else max(row["pulling"] or 0, row["timeline"]),
            max(number(row["received"]), replayed),
            replayed,
            int(row["at"].timestamp() * 1000) if row["at"] else None,
            tuple((turn["epoch"], number(turn["at"])) for turn in turns),
            {
                name: number(s["replay_lsn"])
                for name, s in standbys.items()
                if s["state"] == "streaming" and s["sync_state"] in ("sync", "quorum")
            },
            (row["sender"], row["pulling"]) if row["stream"] == "streaming" else (0, 0),
            row["waiting"],
        )

    async def began(self, place: Place) -> int:
        """Where the timeline on which a primary writes was begun. Raises Temporary."""
        async with self.to(place) as sql:
            timeline = (await sql.fetchval("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))[:8]
            text = await sql.fetchval("SELECT pg_read_file($1)", f"pg_wal/{timeline}.history")
        return max(history(text).values())


def history(text: str) -> dict[int, int]:
    """A timeline history file: each timeline and the position at which it was left."""
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 2:
            found[int(words[0])] = number(words[1])
    return found


def number(lsn: str | None) -> int:
    """A log position as a number; none is before all."""
    high, _, low = (lsn or "0/0").partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn(position: int) -> str:
    """A log position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
