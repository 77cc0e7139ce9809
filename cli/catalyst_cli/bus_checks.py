"""What the reports of the daemons about NATS come to: findings with their remedies. Pure, so that each can be tested."""

from collections.abc import Mapping, Sequence
from typing import Any

from .findings import Finding

OLDEST = (2, 12, 3)
"""Before it a removed peer could lose acknowledged events."""
DAEMONS = frozenset({"billing", "catalog", "continuum", "environment", "pooldomain", "provisioner"})
Reports = Sequence[Mapping[str, Any]]


def judge(reports: Reports) -> list[Finding]:
    """Findings about the server, its streams, the daemons' consumers and their dead letters."""
    if not reports:
        return [Finding("nats", "failed", "no daemon reports", "start the daemons: catalyst dev")]
    away = [r["daemon"] for r in reports if not r["connected"]]
    if len(away) == len(reports):
        return [
            _answering(reports),
            Finding("nats", "failed", "no daemon is connected", "start nats-server; its address is NATS_URL of each"),
        ]
    seen = [r for r in reports if r["connected"]]
    return [
        _answering(reports), _connected(away, len(seen)), _version(seen), _jetstream(seen), _sync(seen), _replicas(seen),
        _consumers(seen), _dead_letters(seen), _unpublished(reports),
    ]  # fmt: skip


def _answering(reports: Reports) -> Finding:
    """A daemon that does not answer is left out of every list, and would be missed by nobody."""
    silent = DAEMONS - {r["daemon"] for r in reports}
    if silent:
        told = f"no answer of {', '.join(sorted(silent))}"
        return Finding(
            "daemons", "warning", told, "look into their logs, and whether they run; one that is switched off is none"
        )
    return Finding("daemons", "ok", f"{len(reports)} answer")


def _connected(away: Sequence[str], there: int) -> Finding:
    if away:
        return Finding("nats", "failed", f"not connected: {', '.join(away)}", "look into the logs of these daemons")
    return Finding("nats", "ok", f"{there} daemons are connected")


def _version(reports: Reports) -> Finding:
    versions = {r["serverVersion"] for r in reports}
    old = sorted(v for v in versions if _parts(v) < OLDEST)
    wanted = ".".join(map(str, OLDEST))
    if old:
        return Finding("nats-version", "failed", f"nats-server {', '.join(old)}", f"install {wanted} or newer")
    return Finding("nats-version", "ok", ", ".join(sorted(versions)))


def _parts(version: str) -> tuple[int, ...]:
    """`2.12.3` as numbers; what is no version is older than all."""
    parts = version.split("-")[0].split(".")
    return tuple(int(p) for p in parts) if all(p.isdecimal() for p in parts) else ()


def _jetstream(reports: Reports) -> Finding:
    if any(r["jetstream"] == "TRUTH_NO" for r in reports):
        return Finding("jetstream", "failed", "it is switched off", "add `jetstream { store_dir: … }` to nats.conf")
    if not any(r["jetstream"] == "TRUTH_YES" for r in reports):
        return Finding("jetstream", "warning", "it does not answer", "run this again; then look into the server's log")
    return Finding("jetstream", "ok", "it answers")


def _sync(reports: Reports) -> Finding:
    if any(r["syncAlways"] == "TRUTH_NO" for r in reports):
        return Finding(
            "nats-sync", "failed", "events are acknowledged before they are on disk; a power failure loses them",
            "set `sync_interval: always` in the jetstream block of nats.conf",
        )  # fmt: skip
    if not any(r["syncAlways"] == "TRUTH_YES" for r in reports):
        return Finding(
            "nats-sync", "warning", "unknown: no monitoring address answers",
            "set `http: 127.0.0.1:8222` in nats.conf, and NATS_MONITOR_URL of each daemon",
        )  # fmt: skip
    return Finding("nats-sync", "ok", "always")


def _replicas(reports: Reports) -> Finding:
    streams = {s["name"]: s["replicas"] for r in reports for s in r["streams"]}
    few = sorted(name for name, replicas in streams.items() if replicas < 3)
    if few:
        return Finding(
            "streams", "warning", f"fewer than three replicas: {', '.join(few)}",
            "fine for development; in production run three servers and raise the streams' replicas",
        )  # fmt: skip
    return Finding("streams", "ok", f"{len(streams)} with three replicas or more")


def _consumers(reports: Reports) -> Finding:
    rows = [c for r in reports for c in r["consumers"]]
    missing = sorted(c["name"] for c in rows if not c["exists"])
    if missing:
        return Finding(
            "consumers", "failed", f"not on the server: {', '.join(missing)}",
            "they come by themselves; if not, look into the logs of their daemons",
        )  # fmt: skip
    waiting = sum(int(c["pending"]) + int(c["unacknowledged"]) for c in rows)
    return Finding("consumers", "ok", f"{len(rows)}, {waiting} events on their way")


def _dead_letters(reports: Reports) -> Finding:
    waiting = {c["name"]: int(c["deadLetters"]) for r in reports for c in r["consumers"] if int(c["deadLetters"])}
    if waiting:
        told = ", ".join(f"{count} of {name}" for name, count in sorted(waiting.items()))
        return Finding("dead-letters", "warning", told, "catalyst events dead-letters list")
    return Finding("dead-letters", "ok", "none")


def _unpublished(reports: Reports) -> Finding:
    waiting = {r["daemon"]: int(r["unpublished"]) for r in reports if int(r["unpublished"]) > 1000}
    if waiting:
        told = ", ".join(f"{count} of {daemon}" for daemon, count in sorted(waiting.items()))
        return Finding("outbox", "warning", f"not published: {told}", "watch catalyst_outbox_oldest_seconds")
    return Finding("outbox", "ok", "no backlog")
