"""What the agent tells, as messages of the contract. Every one says that it is simulated."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from catalyst.provisioner.v1 import resources_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from . import troubles
from .description import Description, Node
from .memory import Boot, Claim, Memory
from .releases import Condition, Phase, Release, Releases
from .troubles import Trouble
from .workloads import Held, Workloads, key

VERSION = "sandbox-0.1.0"
K3S_VERSION = "simulated"
Report = resources_pb2.AgentReport


def moment(seconds: float) -> Timestamp:
    """A point in time from seconds since 1970."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return stamp


def stage(number: int, slug: str) -> Report:
    """A stage of the first boot that is done."""
    done = resources_pb2.AgentStage.STATE_SUCCEEDED
    return Report(stage=resources_pb2.AgentStage(number=number, stage=slug, state=done, message="simulated"))


def heartbeat(
    here: Description, ready: set[str], *, booted: bool, commit: str, applied: str, suspended: bool, k3s: str
) -> Report:
    """Sign of life. `ready` are the ids of nodes that joined."""
    planes = [node for node in here.nodes if node.role == "control_plane"]
    beat = resources_pb2.AgentHeartbeat(
        api_healthy=booted,
        voting_members=sum(node.id in ready for node in planes),
        members=len(planes),
        ready_nodes=sum(node.id in ready for node in here.nodes),
        nodes=len(here.nodes),
        agent_version=VERSION,
        k3s_version=k3s,
        tree_commit=commit,
        applied_commit=applied,
        suspended=suspended,
    )
    return Report(heartbeat=beat)


def inventory(here: Description, remembered: Memory, ready: set[str], now: float) -> Report:
    """What the cluster consists of."""
    status = resources_pb2.Topology.Status
    balancer = resources_pb2.Topology.LoadBalancer(
        id=here.load_balancer,
        addresses=[here.address],
        ports=[here.port],
        status=status.STATUS_HEALTHY,
        observe_time=moment(now),
    )
    whole = resources_pb2.AgentInventory(
        nodes=[_node(node, remembered, ready, now) for node in here.nodes],
        load_balancers=[balancer] if here.address else [],
        ingress_addresses=[here.address] if here.address else [],
        claims=[_claim(claim, here) for claim in remembered.claims],
    )
    return Report(inventory=whole)


def boot_of(node: Node, boots: Mapping[str, Boot]) -> str:
    """What a node calls its present boot."""
    return f"{node.id}-{boots[node.id].number if node.id in boots else 0}"


def components(releases: Iterable[Release], *, full: bool, removed: Iterable[str] = ()) -> Report:
    """Releases: all of them, or those that changed."""
    told = resources_pb2.AgentComponents(releases=[release(r) for r in releases], full=full, removed=removed)
    return Report(components=told)


def workloads(hosted: Workloads, met: Sequence[Trouble]) -> Report:
    """Applications of Organizations: all of them, those that are going too."""
    told = [_hosted(hosted, name, uid, met) for name, uid in sorted(hosted.here().items())]
    return Report(workloads=resources_pb2.AgentWorkloads(command=hosted.command, workloads=told))


def _hosted(hosted: Workloads, name: str, uid: str, met: Sequence[Trouble]) -> resources_pb2.AgentWorkloads.Seen:
    held, one = hosted.held.get(name, Held(uid)), hosted.releases.get(key(name))
    fails = one is not None and troubles.first(met, ("fail_probe",), one.wish.name, one.met) is not None
    return resources_pb2.AgentWorkloads.Seen(
        application=name, uid=uid, commit=held.commit, problem=held.problem,
        serves=one is not None and one.is_ready and not fails, release=release(one) if one else None,
    )  # fmt: skip


def probe(component: str, releases: Releases, *, slug: str, command: int = 0, fails: Collection[str] = ()) -> Report:
    """Whether a component serves; simulated, so exactly while its release is ready. No component: the whole cluster.

    fails   components that are ready and do not serve
    """
    asked = [r for r in releases.values() if component in ("", r.wish.name)]
    ready = bool(asked) and all(release.is_ready for release in asked)
    passed = ready and not any(release.wish.name in fails for release in asked)
    text = "the release is ready" if ready else "the release is not ready"
    text = f"simulated probe: {text}{'' if passed or not ready else ', and does not serve'}"
    told = resources_pb2.AgentProbeResult(component=component, probe=slug, passed=passed, message=text, command=command)
    return Report(probe_result=told)


def result(command: int, *, code: str = "", message: str = "") -> Report:
    """What became of a command."""
    return Report(
        command_result=resources_pb2.AgentCommandResult(
            command=command, done=True, code=code, message=message or "done (simulated)"
        )
    )


def access(command: int, *, token: str, until: float, ca: str) -> Report:
    """A token that was minted."""
    told = resources_pb2.AgentCommandResult(
        command=command, done=True, message="minted (simulated)", token=token, token_expire_time=moment(until),
        ca_bundle_pem=ca,
    )  # fmt: skip
    return Report(command_result=told)


def line(text: str, now: float) -> Report:
    """A line from the controllers, worth a warning."""
    warning = resources_pb2.RunEvent.LEVEL_WARN
    one = resources_pb2.AgentLogLines.Line(time=moment(now), level=warning, text=f"simulated: {text}")
    return Report(log_lines=resources_pb2.AgentLogLines(lines=[one]))


def controllers(releases: Iterable[Release], now: float) -> Report:
    """What the controllers wrote of releases that changed."""
    lines = [_line(release, condition, now) for release in releases if (condition := release.condition("Ready"))]
    return Report(log_lines=resources_pb2.AgentLogLines(lines=lines))


def _line(release: Release, ready: Condition, now: float) -> resources_pb2.AgentLogLines.Line:
    failed = ready.status == "False" and ready.reason != "DependencyNotReady"
    level = resources_pb2.RunEvent.LEVEL_ERROR if failed else resources_pb2.RunEvent.LEVEL_INFO
    text = f"{ready.reason}: {ready.message}"
    return resources_pb2.AgentLogLines.Line(component=release.wish.name, time=moment(now), level=level, text=text)


def _claim(claim: Claim, here: Description) -> resources_pb2.AgentInventory.Claim:
    synced = claim.external_name in here.resources
    return resources_pb2.AgentInventory.Claim(
        kind=claim.kind, name=claim.name, external_name=claim.external_name, observe_only=claim.observe_only,
        synced=synced, message="" if synced else f"there is no {claim.external_name} (simulated)",
    )  # fmt: skip


def _node(node: Node, remembered: Memory, ready: set[str], now: float) -> resources_pb2.Topology.Node:
    status = resources_pb2.Topology.Status
    return resources_pb2.Topology.Node(
        id=node.name,
        size=node.size,
        role=node.role.replace("_", "-"),
        ip=node.private_ip,
        pool=node.pool,
        status=status.STATUS_HEALTHY if node.id in ready else status.STATUS_PENDING,
        observe_time=moment(now),
        server_id=node.id,
        cordoned=node.name in remembered.closed,
        create_time=moment(remembered.joined[node.id]) if node.id in ready else None,
        boot_id=boot_of(node, remembered.boots),
    )


def release(one: Release) -> resources_pb2.AgentComponents.Release:
    """A release as its object shows it."""
    wish = one.wish
    return resources_pb2.AgentComponents.Release(
        name=wish.name,
        namespace=wish.namespace,
        target_namespace=wish.target_namespace,
        generation=one.generation,
        observed_generation=one.observed_generation,
        conditions=[_condition(c) for c in one.conditions],
        suspended=wish.suspended,
        version=wish.version,
        digest=wish.digest,
        install_failures=0 if one.installed else one.failures,
        upgrade_failures=one.failures if one.installed else 0,
        retries_remain=one.phase is not Phase.STALLED,
        depends_on=wish.depends_on,
        resource_version=str(one.resource_version),
    )


def _condition(condition: Condition) -> resources_pb2.AgentComponents.Condition:
    return resources_pb2.AgentComponents.Condition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        observed_generation=condition.observed_generation,
        last_transition_time=moment(condition.since),
    )
