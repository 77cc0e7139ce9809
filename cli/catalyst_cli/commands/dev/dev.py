"""`catalyst dev`: the whole mesh in one terminal."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.context import remember
from catalyst_cli.dev.cell_servers import CellsUnusable
from catalyst_cli.dev.databases import DatabaseUnusable, Home, Server
from catalyst_cli.dev.layout import REGIONS, REPLICAS, Layout
from catalyst_cli.dev.ports import PortsTaken
from catalyst_cli.dev.powerdns import PowerDnsUnusable
from catalyst_cli.dev.seed import VOUCHER, SeedRefused
from catalyst_cli.dev.shop import SlotRefused
from catalyst_cli.dev.supervisor import AlreadyRunning, NotOurs, Supervisor, Unready, running

STOP_WITHIN = 60
"""Seconds that `--clean` gives a running dev to stop."""


class CellKind(StrEnum):
    """Values of `--cells`."""

    EMBEDDED = "embedded"
    AUTO = "auto"
    REAL = "real"


class Rows(StrEnum):
    """Values of `--pair`."""

    DEMO = "demo"
    POSTGRES = "postgres"


class Shown(StrEnum):
    """Values of `--output`."""

    TABLE = "table"
    JSON = "json"


class DnsServer(StrEnum):
    """Values of `--dns`."""

    EMBEDDED = "embedded"
    POWERDNS = "powerdns"


def default_folder() -> Path:
    """Where dev keeps its data unless told otherwise (XDG Base Directory Specification)."""
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(share) / "catalyst" / "dev"


def dev(
    asked: typer.Context,
    port_base: Annotated[
        int, typer.Option(help="All ports of dev are among the 82 from here on.", min=1024, max=65000)
    ] = 7400,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for all data. Default: in your home folder.")] = None,
    time_scale: Annotated[float, typer.Option(help="1: simulated installs take as long as real ones.", min=0)] = 0.05,
    replicas: Annotated[int, typer.Option(help="Processes of each daemon.", min=1, max=REPLICAS)] = 1,
    database: Annotated[
        str,
        typer.Option(help="postgresql://user@host:port/name, or `postgres` for an own server. Default: SQLite files."),
    ] = "",
    dns: Annotated[DnsServer, typer.Option(help="Where the pool's zones lie: embedded, or a PowerDNS of its own.")] = (
        DnsServer.EMBEDDED
    ),
    cells: Annotated[
        CellKind | None,
        typer.Option(help="What keeps the leases. real: BIND, Knot and PowerDNS; auto: where they are."),
    ] = None,
    regions: Annotated[
        bool, typer.Option("--regions", help="Two regions more, with an application that moves between them.")
    ] = False,
    pair: Annotated[
        Rows | None,
        typer.Option(help="What that application keeps its rows in: its own store, or PostgreSQL. With --regions."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Stop what runs, delete all data, and end.")] = False,
    output: Annotated[Shown, typer.Option("--output", "-o", help="How to print.")] = Shown.TABLE,
) -> None:
    """Run the whole mesh here: seven daemons, NATS, DNS, a simulated cloud, sample data. No root, no containers.

    Ctrl-C stops everything; data stays. A second start in the same folder shows what runs.

    Examples:

        catalyst dev

        catalyst dev --port-base 9400 --data-dir ./dev-data

        catalyst dev --replicas 2 --database postgres --data-dir /var/tmp/catalyst

        catalyst dev --dns powerdns --data-dir ./dev-powerdns

        catalyst dev --cells real --data-dir /var/tmp/catalyst

        catalyst dev --regions

        catalyst dev --regions --pair postgres --data-dir /var/tmp/catalyst

        catalyst dev --clean

        catalyst dev status
    """
    if asked.invoked_subcommand is not None:
        return
    layout = Layout((data_dir or default_folder()).absolute(), port_base, count=replicas, dns_server=dns.value)
    layout = replace(layout, has_regions=regions or pair is not None)
    if clean:
        _clean(layout)
        return

    def ready(state: dict[str, Any]) -> None:
        remember(server=state["gateway"], token_file=state["token_file"])
        _show(state, output)

    try:
        supervisor = Supervisor(
            layout, _tell, time_scale, database, cells.value if cells else "", pair.value if pair else ""
        )  # fmt: skip - one call
        asyncio.run(supervisor.run(ready))
    except AlreadyRunning as other:
        _tell("catalyst dev runs already")
        _show(other.state, output)
    except PortsTaken as taken:
        for part, port, holder in taken.clashes:
            _tell(f"port {port} ({part}) is held by {holder}")
        folder = f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else ""
        _tell(f"nothing was started; next: catalyst dev --port-base {port_base + 1000}{folder}")
        raise typer.Exit(1) from taken
    except NotOurs as error:
        _tell(f"dev did not start: {error}; next: catalyst dev --data-dir FOLDER, with one that is empty or not there")
        raise typer.Exit(1) from error
    except (CellsUnusable, DatabaseUnusable, PowerDnsUnusable) as error:
        _tell(f"dev did not start: {error}")
        raise typer.Exit(1) from error
    except (Unready, SeedRefused, SlotRefused) as error:
        _tell(f"dev did not come up: {error}")
        _tell(f"next: read the logs in {layout.logs}, or begin anew with `catalyst dev --clean`")
        raise typer.Exit(1) from error


def _clean(layout: Layout) -> None:
    state = running(layout)
    if state is not None and "pid" in state:
        with suppress(ProcessLookupError):
            os.kill(state["pid"], signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        # It has stopped when it has let go of its lock, whoever may still have to collect the process.
        while running(layout) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
    elif not layout.lock.exists() and layout.folder.exists() and any(layout.folder.iterdir()):
        _tell(f"{layout.folder} holds no data of catalyst dev; nothing was deleted")
        raise typer.Exit(1)
    if layout.pair.exists():
        from catalyst_cli.dev.pair import stop

        for region in REGIONS:
            stop(layout, region)
    if layout.sandbox.exists():
        import catalyst_cloud_sandbox

        catalyst_cloud_sandbox.power_off(layout.sandbox)
    if (home := Home.remembered(layout)) is not None and home.server is not None:
        _drop(home.server, home.mark)
    shutil.rmtree(layout.folder, ignore_errors=True)
    _tell(f"deleted {layout.folder}")


def _drop(server: Server, mark: str) -> None:
    from catalyst_cli.dev import admin

    try:
        dropped = asyncio.run(admin.drop(server, mark))
    except DatabaseUnusable as error:
        _tell(f"{error}; nothing was deleted")
        raise typer.Exit(1) from error
    _tell(f"dropped {', '.join(dropped) or 'no database'} at {server.shown}")


def _show(state: dict[str, Any], output: Shown) -> None:
    if output is Shown.JSON:
        print(json.dumps(state))
        sys.stdout.flush()
        return
    if state.get("starting"):
        print(f"it is still starting in {state['folder']}")
        return
    code = Path(state["login_code_file"]).read_text().strip()
    lines = [
        f"Catalyst is up ({state['start_seconds']} s, {state['pss_mib']} MiB)",
        "",
        f"  console   {state['gateway']}/console   sign in with the code {code}",
        f"  REST      {state['gateway']}/v1   described by {state['gateway']}/v1/openapi.json",
        f"  gRPC      {'  '.join(f'{name} {address}' for name, address in state['grpc'].items())}",
        f"  events    {state['nats']}",
        f"  DNS       {state['dns']}   trust anchor {state['dns_trust_anchor']}",
        *([f"  PowerDNS  {state['powerdns']}   has the pool's zones"] if "powerdns" in state else []),
        f"  leases    {'  '.join(state['cells'].values())}",
        f"  database  {state['database']}   replicas {state['replicas']}",
        f"  data      {state['folder']}   logs in {state['folder']}/logs",
        f"  plugins   {', '.join(state.get('plugins', ())) or 'see `catalyst plugins list`'}",
        "",
        f"next: catalyst sovereign create --file examples/01-first-sovereign/sovereign.yaml --voucher {VOUCHER}",
        "stop: Ctrl-C",
    ]
    print("\n".join(lines))
    sys.stdout.flush()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
