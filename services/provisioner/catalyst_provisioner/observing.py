"""What agents report, taken into our tables: each report once, in order, in one transaction per batch.

Invariants
  once       a report's number is committed with its effect; a repeat changes nothing;
  own only   what speaks of another cluster or server than the agent's own is refused;
  our clock  the agent's clock is kept for people and never decides anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from catalyst.provisioner.v1 import resources_pb2
from catalyst_mesh import Sealer
from catalyst_sdk import Code, Refused
from google.protobuf.json_format import MessageToDict

from . import granting
from .domain import component_states, conditions, facts, workloads
from .domain.component_states import ComponentState, Condition, Release, Seen
from .domain.locks import ancestors
from .domain.sovereign import Sovereign
from .domain.workloads import Hosted
from .store import ComponentRow, EnrolmentRow, Store, WorkloadRow

Report = resources_pb2.AgentReport
BOOT = ""
"""Stands for the first boot where lines are kept by component."""
ABOUT_COMPONENTS = {"components", "probe_result", "log_lines"}
LONGEST = 64 * 1024
"""Characters of a line that are kept."""


class OtherCluster(Refused):
    code, reason, message = (
        Code.PERMISSION_DENIED,
        "OTHER_CLUSTER",
        "an agent may report its own cluster and server only",
    )


class ServerGone(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "SERVER_GONE", "this server is not enrolled any more"


class ReportInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "REPORT_INVALID", "report {seq} cannot be used: {why}"


async def take(tx: Store, token_sha256: str, reports: Sequence[Report], sealer: Sealer) -> int:
    """Take a batch of one agent; the highest number that is committed with it."""
    enrolment = await tx.enrolment(token_sha256=token_sha256)
    if enrolment is None or not enrolment.public_key_sha256:
        raise ServerGone
    held = await tx.lock(enrolment.sovereign)
    if held is None:
        raise ServerGone
    fresh = [report for report in reports if report.seq > enrolment.last_report]
    for report in fresh:
        demand_own(enrolment, report)
    if not fresh:
        return enrolment.last_report
    held = await _taken(tx, held, enrolment, fresh, sealer)
    await tx.save(held)
    last = fresh[-1].seq
    await tx.change_enrolment(token_sha256, last_report=last)
    return last


async def _taken(
    tx: Store, held: Sovereign, enrolment: EnrolmentRow, reports: Sequence[Report], sealer: Sealer
) -> Sovereign:
    cluster = enrolment.cluster
    values: dict[str, Any] = {"heartbeat_at": tx.now}
    # A sign of life, and what follows from it, says nothing of components, and to read them costs the most.
    about = any(report.WhichOneof("report") in ABOUT_COMPONENTS for report in reports)
    rows = {row.name: row for row in await tx.components(held.id, cluster)} if about else {}
    before = dict(rows)
    there = await tx.cluster(held.id, cluster) if any(r.WhichOneof("report") == "heartbeat" for r in reports) else None
    for report in reports:
        match report.WhichOneof("report"):
            case "heartbeat":
                known, heard_at = (there.heartbeat, there.heartbeat_at) if there else (None, None)
                beat = _plain(report.heartbeat)
                values["heartbeat"] = conditions.signs(
                    values.get("heartbeat", known) or {}, beat, heard_at=heard_at, now=tx.now
                )
            case "inventory":
                values["inventory"] = _plain(report.inventory)
            case "components":
                rows = _released(rows, report.components, tx.now)
            case "probe_result":
                probed = report.probe_result
                rows = _probed(rows, probed, tx.now)
                if probed.command:
                    code = "" if probed.passed else "not_passed"
                    await tx.command_done(held.id, cluster, probed.command, code=code, message=probed.message)
            case "command_result":
                told = report.command_result
                if told.done:
                    await tx.command_done(
                        held.id, cluster, told.command, code=told.code, message=told.message, remaining=told.remaining
                    )
                    held = await granting.told(tx, held, cluster, told, sealer)
            case "workloads":
                await _hosted(tx, held.id, cluster, report.workloads)
            case "log_lines":
                for component, lines in _lines(report.log_lines, rows, tx.now).items():
                    await tx.add_lines(held.id, cluster, component, lines)
            case "stage":
                await tx.add_lines(held.id, cluster, BOOT, _of_stage(report.stage, report.server_id, tx.now))
            case None:
                raise ReportInvalid(seq=report.seq, why="it tells nothing")
    await tx.change_cluster(held.id, cluster, **values)
    return await _judged(tx, held, before, rows)


async def _hosted(tx: Store, sovereign: str, cluster: str, told: resources_pb2.AgentWorkloads) -> None:
    """Applications of Organizations are their own daemon's to judge; here stands what was seen of them."""
    known = {row.application: row for row in await tx.workloads(sovereign, cluster)}
    rows = []
    for one in told.workloads:
        release = _release(one.release) if one.HasField("release") else None
        seen = Hosted(one.uid, one.commit, release, one.serves, one.problem)
        before = known.get(one.application)
        was_ready = before is not None and before.was_ready and before.seen.uid == one.uid
        rows.append(WorkloadRow(one.application, seen, was_ready or workloads.is_ready(seen), tx.now))
    await tx.keep_workloads(sovereign, cluster, rows, told=told.command)


async def _judged(
    tx: Store, held: Sovereign, before: Mapping[str, ComponentRow], rows: Mapping[str, ComponentRow]
) -> Sovereign:
    """Bring states up to date, tell what changed; the Sovereign after what was told."""
    for name, row in _settled(rows, tx.now).items():
        old = before[name]
        if row == old:
            continue
        await tx.save_component(row)
        if row.state is not old.state:
            held = held.told(tx.now)
            tx.emit(_changed(held, old, row))
    return held


def _settled(rows: Mapping[str, ComponentRow], now: datetime) -> Mapping[str, ComponentRow]:
    needs = {name: tuple(row.needs) for name, row in rows.items()}
    settled = dict(rows)
    # By position, so that what is needed has its state before what needs it is judged.
    for name, row in sorted(rows.items(), key=lambda item: item[1].position):
        failed = [
            n for n in sorted(ancestors(name, needs)) if n in settled and settled[n].state is ComponentState.FAILED
        ]
        seen = Seen(row.release, row.wished_digest, row.probe_passed, row.was_ready, False, failed[0] if failed else "")
        verdict = component_states.judge(seen)
        since = row.since if verdict.state is row.state else now
        ready = row.was_ready or verdict.state is ComponentState.READY
        settled[name] = replace(row, state=verdict.state, message=verdict.message, since=since, was_ready=ready)
    return settled


def _lines(
    told: resources_pb2.AgentLogLines, rows: Mapping[str, ComponentRow], now: datetime
) -> Mapping[str, list[tuple[datetime, str, str, bool]]]:
    """Lines by component, at our moment; what is about nothing that is wished here is dropped."""
    found: dict[str, list[tuple[datetime, str, str, bool]]] = {}
    for line in told.lines:
        if not line.component or line.component in rows:
            level = resources_pb2.RunEvent.Level.Name(line.level).removeprefix("LEVEL_")
            level = "INFO" if level == "UNSPECIFIED" else level
            found.setdefault(line.component, []).append((now, level, line.text[:LONGEST], line.truncated))
    return found


def _of_stage(told: resources_pb2.AgentStage, server: str, now: datetime) -> list[tuple[datetime, str, str, bool]]:
    """A stage of a server's first boot, with what it said last if it failed."""
    state = resources_pb2.AgentStage.State.Name(told.state).removeprefix("STATE_")
    level = "ERROR" if told.state == resources_pb2.AgentStage.STATE_FAILED else "INFO"
    said = [f"server {server}: stage {told.number} {told.stage} {state.lower()}", *told.last_lines]
    return [(now, level, line[:LONGEST], False) for line in said]


def _released(
    rows: Mapping[str, ComponentRow], told: resources_pb2.AgentComponents, now: datetime
) -> dict[str, ComponentRow]:
    """Only what the lock names counts; anything else in the cluster is not ours to judge."""
    after = dict(rows)
    for release in told.releases:
        if release.name in after:
            after[release.name] = _with_release(after[release.name], _release(release), now)
    gone = set(told.removed)
    if told.full:
        gone |= after.keys() - {release.name for release in told.releases}
    for name in gone & after.keys():
        after[name] = replace(after[name], release=None, probe_passed=None, observed_at=now)
    return after


def _with_release(row: ComponentRow, release: Release, now: datetime) -> ComponentRow:
    old = row.release
    same = old is not None and (old.generation, old.digest) == (release.generation, release.digest)
    return replace(row, release=release, probe_passed=row.probe_passed if same else None, observed_at=now)


def _probed(
    rows: Mapping[str, ComponentRow], told: resources_pb2.AgentProbeResult, now: datetime
) -> dict[str, ComponentRow]:
    after = dict(rows)
    if told.component in after:
        after[told.component] = replace(after[told.component], probe_passed=told.passed, observed_at=now)
    return after


def _release(told: resources_pb2.AgentComponents.Release) -> Release:
    return Release(
        generation=told.generation,
        observed_generation=told.observed_generation,
        conditions=tuple(_conditions(told.conditions)),
        suspended=told.suspended,
        version=told.version,
        digest=told.digest,
        failures=told.install_failures + told.upgrade_failures,
        retries_remain=told.retries_remain,
    )


def _conditions(told: Iterable[resources_pb2.AgentComponents.Condition]) -> Iterable[Condition]:
    for c in told:
        since = c.last_transition_time.ToNanoseconds() / 1e9
        yield Condition(c.type, c.status, c.reason, c.message, c.observed_generation, since)


def _changed(held: Sovereign, old: ComponentRow, new: ComponentRow) -> facts.ComponentChanged:
    return facts.ComponentChanged(
        held,
        new.cluster,
        new.name,
        old.state,
        new.state,
        new.message,
        new.release.version if new.release else "",
        new.release.digest if new.release else "",
        new.optional,
        held.last_run,
    )  # fmt: skip - in the order of the fields


def demand_own(enrolment: EnrolmentRow, report: Report) -> None:
    """Raises OtherCluster where an agent speaks of what is not its own."""
    cluster = f"sovereigns/{enrolment.sovereign}/clusters/{enrolment.cluster}"
    if report.cluster != cluster or report.server_id != enrolment.server_id:
        raise OtherCluster


def _plain(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)
