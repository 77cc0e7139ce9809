"""Whether a component does what it is there for: asked through the Kubernetes API, from inside its cluster.

What is asked stands in the tree (`catalyst-probes`) or in a command, in the words of the data file: `http` and `expect`, or
`check`. A probe that this agent cannot make is said to be none, and what the component runs has to be available instead.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb

from . import seen
from .kube import Kube, NotAnswered

Object = Mapping[str, Any]
Spec = Mapping[str, Any]
LIMIT = 600.0
"""Seconds for a probe whose command names none."""
PAUSE = 5.0
"""Seconds between two tries of one probe."""
RELEASE = "helmreleases.helm.toolkit.fluxcd.io"
PROBES, PLACE = "catalyst-probes", "kube-system"
RUNS = "deployments,statefulsets,daemonsets"
NOT_EMPTY = "not empty"


@dataclass(frozen=True, slots=True)
class Check:
    """What a cluster has to show of a kind."""

    kind: str
    condition: str = ""
    """Condition that has to be True, empty: being there is enough."""
    every: bool = False
    """Of all of them; else of one."""
    may_lack: bool = False
    """Whether it passes where there are none: those come with what waits for this component."""


CHECKS: Mapping[str, Check] = {
    "every ExternalSecret Ready": Check("externalsecrets.external-secrets.io", "Ready", every=True, may_lack=True),
    "a database cluster is healthy": Check("clusters.postgresql.cnpg.io", "Ready", may_lack=True),
    "policy ready": Check("clusterpolicies.kyverno.io", "Ready", every=True, may_lack=True),
    "a policy exists": Check("clusterimagepolicies.policy.sigstore.dev"),
    "backup location Available": Check("backupstoragelocations.velero.io", "Available"),
    "gateway Programmed": Check("gateways.gateway.networking.k8s.io", "Programmed"),
    "KnativeServing Ready": Check("knativeservings.operator.knative.dev", "Ready"),
    "InferenceService Ready": Check("inferenceservices.serving.kserve.io", "Ready"),
}
SERVED = {"vpa": "verticalpodautoscalers.autoscaling.k8s.io", "kserve": "inferenceservices.serving.kserve.io"}
"""By `CRD served`: the kind that is meant."""
RUNNING = ("rollout complete", "collector is not failed")


async def known(kube: Kube) -> dict[str, Spec]:
    """Probes that the tree has brought, by component. Raises NotAnswered."""
    found = await kube.one("configmap", PROBES, namespace=PLACE)
    return {name: json.loads(text) for name, text in ((found or {}).get("data") or {}).items()}


async def asked(kube: Kube, component: str, spec: Spec, *, limit: float, pause: float = PAUSE) -> pb.AgentProbeResult:
    """Probe until it passes or the time is over. Raises NotAnswered where its release cannot be seen."""
    began = time.monotonic()
    while True:
        release = next((one for one in await kube.all(RELEASE) if one["metadata"]["name"] == component), None)
        result = await once(kube, release, spec) if release else _failed(component, f"there is no release {component}")
        elapsed = time.monotonic() - began
        if result.passed or elapsed + pause > limit:
            result.elapsed.FromMilliseconds(round(elapsed * 1000))
            return result
        await asyncio.sleep(pause)


async def once(kube: Kube, release: Object, spec: Spec) -> pb.AgentProbeResult:
    """One look at a component. Raises NotAnswered where what it runs cannot be seen."""
    meta = release["metadata"]
    name, own = str(meta["name"]), release.get("spec") or {}
    namespace = own.get("targetNamespace") or meta["namespace"]
    mine = f"app.kubernetes.io/instance={own.get('releaseName') or name}"
    runs = seen.served(name, await kube.all(RUNS, namespace=namespace, selector=mine))
    if not runs.passed or not spec or spec.get("check") in RUNNING:
        return runs
    path, check = str(spec.get("http") or ""), CHECKS.get(str(spec.get("check") or ""))
    if path.startswith("/"):
        services = await kube.all("services", namespace=namespace, selector=mine)
        return await _answered(kube, name, services, path, str(spec.get("expect") or ""))
    if spec.get("check") == "CRD served" and (kind := SERVED.get(name.removeprefix("bp-"))):
        check = Check(kind, may_lack=True)
    if check is not None:
        return await _checked(kube, name, check)
    runs.message = f"{runs.message}; this agent cannot make its own probe, {json.dumps(dict(spec))}"
    return runs


async def _answered(
    kube: Kube, component: str, services: Sequence[Object], path: str, expected: str
) -> pb.AgentProbeResult:
    """Whether one of its services answers so, through the API's proxy."""
    why = "it has no service that could be asked"
    for service in services:
        for port in _ports(service):
            meta = service["metadata"]
            at = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}:{port}/proxy{path}"
            try:
                body = await kube.raw(at)
            except NotAnswered as error:
                why = f"{meta['name']}:{port}{path}: {error}"
                continue
            if is_expected(body, expected):
                return _passed(component, f"{meta['name']}:{port}{path} answers as it should")
            why = f"{meta['name']}:{port}{path} answers, but not with {expected!r}"
    return _failed(component, why)


def is_expected(body: str, expected: str) -> bool:
    """Whether an answer says all the words that are expected; `not empty` is a list with something in it."""
    if expected != NOT_EMPTY:
        return all(word in body.lower() for word in expected.lower().split())
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return bool(found.get("data") if isinstance(found, dict) else found)


def _ports(service: Object) -> Iterator[int]:
    """Numbers of its ports, those first that are called as if they spoke HTTP."""
    rows = (service.get("spec") or {}).get("ports") or ()
    for row in sorted(rows, key=lambda row: not str(row.get("name") or "").startswith("http")):
        if row.get("protocol", "TCP") == "TCP":
            yield int(row["port"])


async def _checked(kube: Kube, component: str, check: Check) -> pb.AgentProbeResult:
    try:
        found = await kube.all(check.kind)
    except NotAnswered as error:
        return _failed(component, f"{check.kind} are not served: {error}")
    if not found:
        text = f"there are no {check.kind} yet"
        return _passed(component, text) if check.may_lack else _failed(component, text)
    wrong = [one["metadata"]["name"] for one in found if not _has(one, check.condition)]
    if wrong and (check.every or len(wrong) == len(found)):
        return _failed(component, f"not {check.condition} of {check.kind}: {', '.join(sorted(wrong)[:10])}")
    return _passed(component, f"{len(found) - len(wrong)} of {len(found)} {check.kind} are as they should be")


def _has(raw: Object, condition: str) -> bool:
    """By a condition, or by the phase of kinds that have none."""
    status = raw.get("status") or {}
    told = {str(one.get("type")): one.get("status") for one in status.get("conditions") or ()}
    return not condition or told.get(condition) == "True" or status.get("phase") == condition


def _passed(component: str, message: str) -> pb.AgentProbeResult:
    return pb.AgentProbeResult(component=component, probe="ready", passed=True, message=message[:4_000])


def _failed(component: str, message: str) -> pb.AgentProbeResult:
    return pb.AgentProbeResult(component=component, probe="ready", passed=False, message=message[:4_000])
