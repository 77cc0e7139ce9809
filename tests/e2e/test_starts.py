"""Replicas of one daemon that start at the same moment, on a database and a folder where nothing is yet."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest
from catalyst_cli.dev.layout import PACKAGES
from catalyst_mesh import Daemon
from sqlalchemy import text

ROOT = Path(__file__).parents[2]
REPLICAS = 3


def told(name: str, home: Path) -> dict[str, Any]:
    """Settings without which the daemon would not start."""
    (home / "tsig.key").write_text("c2VjcmV0")
    return {
        "catalog": {"blueprints": ROOT / "blueprints"},
        "provisioner": {"git_listen": "127.0.0.1:0", "sandbox_dir": home / "cloud"},
        "continuum": {"cells": "a=127.0.0.1:1,b=127.0.0.1:2,c=127.0.0.1:3", "tsig_key_file": home / "tsig.key"},
    }.get(name, {})


async def composed(name: str, database: str, home: Path) -> list[Daemon]:
    app = importlib.import_module(f"{PACKAGES[name]}.app")
    settings = next(value for key, value in vars(app).items() if key.endswith("Settings") and key != "DaemonSettings")(
        database_url=database, data_folder=home, **told(name, home)
    )
    return list(await asyncio.gather(*(app.compose(settings) for _ in range(REPLICAS))))


@pytest.mark.parametrize("name", sorted(PACKAGES))
async def test_replicas_that_start_at_once_all_come_up(name: str, database: str, home: Path) -> None:
    daemons = await composed(name, database, home)
    async with daemons[0].db.read() as sql:
        assert (await sql.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1
    for daemon in daemons:
        for close in daemon.closing:
            await close()
        await daemon.db.close()
