"""Databases of `catalyst dev` on PostgreSQL: made, remembered, and dropped only where they are its own."""

from pathlib import Path

import asyncpg
import pytest
from catalyst_cli.dev import admin, cluster
from catalyst_cli.dev.databases import DatabaseUnusable, Home, Server
from catalyst_cli.dev.layout import DAEMONS, Layout
from catalyst_testkit.postgres import FAST, PostgresServer, postgres_server
from catalyst_testkit.servers import free_port

WHOLE = "postgresql://ada:s%40cret@db.example:6432/house"


def test_a_url_says_where_and_what_is_left_out_has_a_meaning() -> None:
    server = Server.parse(WHOLE)
    assert server == Server("db.example", 6432, "ada", "s@cret", "house")
    assert server.url("pdm") == "postgresql+asyncpg://ada:s%40cret@db.example:6432/house_pdm"
    assert Server.parse(server.whole) == server
    assert "cret" not in server.shown
    assert Server.parse("postgresql://db.example") == Server("db.example", 5432, "postgres", "", "catalyst")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://here",
        "postgres-no",
        "postgresql://h:port/x",
        "postgresql://h/Robert'); DROP",
        "postgresql://h/A",
        "postgresql://u:s3cret/x@h/y",
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        Server.parse(url)
    assert "s3cret" not in str(refused.value)


def test_a_folder_stays_with_the_database_of_its_first_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert Home.of(layout, "") is None
    first = Home.of(layout, WHOLE)
    assert first is not None
    assert Home.of(layout, "") == first
    assert Home.of(layout, WHOLE) == first
    assert layout.database.stat().st_mode & 0o777 == 0o600, "it holds a password"
    with pytest.raises(DatabaseUnusable, match=r"db\.example") as refused:
        Home.of(layout, "postgres")
    assert "cret" not in str(refused.value)


def test_data_in_sqlite_files_is_not_left_behind_unnoticed(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "catalog.db").touch()
    with pytest.raises(DatabaseUnusable, match="SQLite files"):
        Home.of(Layout(tmp_path), "postgres")


async def names(server: Server) -> set[str]:
    connection = await admin.connect(server)
    rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", f"{server.prefix}_%")
    await connection.close()
    return {row["datname"] for row in rows}


async def test_databases_are_made_once_and_only_one_s_own_are_dropped(postgres: PostgresServer) -> None:
    server = Server("127.0.0.1", postgres.port, "postgres", prefix="house")
    await postgres.execute('CREATE DATABASE "house_pdm"')  # by somebody, for us
    for _ in range(2):
        urls = await admin.prepare(server, "mine")
    assert set(urls) == set(DAEMONS)
    assert await names(server) == {f"house_{daemon}" for daemon in DAEMONS}
    with pytest.raises(DatabaseUnusable, match="another folder"):
        await admin.prepare(server, "yours")
    assert await admin.drop(server, "yours") == []
    assert set(await admin.drop(server, "mine")) == {f"house_{d}" for d in DAEMONS if d != "pdm"}
    assert await names(server) == {"house_pdm"}
    await postgres.execute('DROP DATABASE "house_pdm"')


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    server = Server("127.0.0.1", free_port(), "ada", "s@cret")
    with pytest.raises(DatabaseUnusable, match=r"postgresql://ada@127\.0\.0\.1") as refused:
        await admin.prepare(server, "mine")
    assert "cret" not in str(refused.value)


def test_an_absent_postgresql_is_named_with_its_package() -> None:
    with pytest.raises(DatabaseUnusable, match="install the package postgresql"):
        cluster.program("no-such-program")


async def test_the_log_of_dev_s_own_cluster_quotes_no_values_of_rows() -> None:
    quiet = [option for option in cluster.OPTIONS if option.startswith("log_")]
    with postgres_server((*FAST, "log_statement=all", *quiet)) as server:
        sql = await asyncpg.connect((await server.database()).replace("+asyncpg", ""))
        await sql.execute("CREATE TABLE people (mail text PRIMARY KEY, n int NOT NULL)")
        await sql.execute("INSERT INTO people VALUES ($1, 1)", mail := "ada@canary.example")
        for n in (1, None):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await sql.execute("INSERT INTO people VALUES ($1, $2)", mail, n)
        await sql.close()
        log = (server.home / "log").read_text()
    assert "duplicate key value" in log
    assert "violates not-null" in log
    assert mail not in log


def test_a_cluster_of_dev_s_own_is_synced_to_disk_and_asks_for_a_password(home: Path) -> None:
    layout = Layout(home)
    command = cluster.make(layout)
    assert not [word for word in command if "fsync" in word or "synchronous" in word]
    access = (layout.cluster / "data" / "pg_hba.conf").read_text()
    rows = [line.split()[-1] for line in access.splitlines() if line and not line.startswith("#")]
    assert set(rows) == {"scram-sha-256"}
    assert cluster.make(layout) == command, "a second start finds it"
    assert not [path for path in layout.cluster.iterdir() if path.name.endswith(".new")]
