"""What workloads of an Environment should have, and the rules by which Kyverno judges it (an expression of CEL over the object).

Invariants
  named     a policy has one name in all Environments; what its rule asks for stands here and nowhere else;
  own only  a rule reaches the namespace of its Environment and those that carry its label, and no others;
  exact     equal rules give equal bytes, whatever order they were given in.

Source: https://kyverno.io/docs/policy-types/cluster-policy/validate/#common-expression-language-cel, failureAction by rule
since Kyverno 1.13.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_POD = "object.spec.template.spec"
_ALL = f"{_POD}.containers.all(c, %s) && (!has({_POD}.initContainers) || {_POD}.initContainers.all(c, %s))"
_SERVING, _RUNNING = ("Deployment", "StatefulSet", "DaemonSet"), ("Deployment", "StatefulSet", "DaemonSet", "Job")
_SCALED = ("Deployment", "StatefulSet")


class Mode(StrEnum):
    PERMISSIVE = "permissive"
    ENFORCING = "enforcing"


class Scope(StrEnum):
    ALL = "all"
    STATEFUL = "stateful"
    STATELESS = "stateless"


@dataclass(frozen=True, slots=True)
class ComplianceRule:
    """One thing that workloads should have."""

    name: str
    mode: Mode = Mode.PERMISSIVE
    scope: Scope = Scope.ALL
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """How a workload is judged."""

    kinds: Sequence[str]
    expression: str
    message: str


def _each(expression: str) -> str:
    """An expression over each container `c`, those that come first too."""
    return _ALL % (expression, expression)


KNOWN: Mapping[str, Judged] = {
    "multiReplica": Judged(
        _SCALED, "has(object.spec.replicas) && object.spec.replicas >= 2", "two replicas or more, so that one may go"
    ),
    "topologySpread": Judged(
        _SCALED,
        f"has({_POD}.topologySpreadConstraints) && size({_POD}.topologySpreadConstraints) > 0",
        "its pods are spread over nodes or zones",
    ),
    "probesPresent": Judged(
        _SERVING,
        f"{_POD}.containers.all(c, has(c.livenessProbe) && has(c.readinessProbe))",
        "each container has probes of liveness and readiness",
    ),
    "resourceRequests": Judged(
        _RUNNING,
        _each(
            "has(c.resources) && has(c.resources.requests) && 'cpu' in c.resources.requests && 'memory' in c.resources.requests"
        ),
        "each container requests processor and memory",
    ),
    "resourceLimits": Judged(
        _RUNNING,
        _each("has(c.resources) && has(c.resources.limits) && 'memory' in c.resources.limits"),
        "each container has a limit of memory",
    ),
    "image-tag-pinned": Judged(
        _RUNNING,
        _each(
            "c.image.matches('(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$') && !c.image.endsWith(':latest')"
        ),
        "each image has a version or a digest, and not `latest`",
    ),
    "run-as-non-root": Judged(
        _RUNNING,
        f"(has({_POD}.securityContext) && has({_POD}.securityContext.runAsNonRoot) && {_POD}.securityContext.runAsNonRoot && "
        + _each("!has(c.securityContext) || !has(c.securityContext.runAsNonRoot) || c.securityContext.runAsNonRoot")
        + ") || ("
        + _each("has(c.securityContext) && has(c.securityContext.runAsNonRoot) && c.securityContext.runAsNonRoot")
        + ")",
        "no container runs as root",
    ),
    "readonly-root-fs": Judged(
        _RUNNING,
        _each(
            "has(c.securityContext) && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem"
        ),
        "no container writes into its root",
    ),
    "secret-not-in-env": Judged(
        _RUNNING,
        _each(
            "(!has(c.env) || c.env.all(e, !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef))) && "
            "(!has(c.envFrom) || c.envFrom.all(e, !has(e.secretRef)))"
        ),
        "secrets are files, not environment",
    ),
    "flux-managed": Judged(
        _SERVING,
        "has(object.metadata.labels) && ('helm.toolkit.fluxcd.io/name' in object.metadata.labels || "
        "'kustomize.toolkit.fluxcd.io/name' in object.metadata.labels)",
        "Flux brought it, not a hand",
    ),
}  # fmt: skip - a table
"""Policies that can be judged from the object alone. The others need more: other objects, networks, keys, reports."""
_SCOPES: Mapping[Scope, frozenset[str]] = {
    Scope.ALL: frozenset(_RUNNING),
    Scope.STATEFUL: frozenset({"StatefulSet"}),
    Scope.STATELESS: frozenset(_RUNNING) - {"StatefulSet"},
}


def canonical(rules: Iterable[ComplianceRule]) -> tuple[ComplianceRule, ...]:
    """By their names."""
    return tuple(sorted(rules, key=lambda rule: rule.name))


def unrendered(rules: Iterable[ComplianceRule]) -> tuple[str, ...]:
    """Names for which no rule is made."""
    return tuple(sorted(rule.name for rule in rules if not kinds_of(rule)))


def kinds_of(rule: ComplianceRule) -> list[str]:
    """Kinds of objects that it judges; none: it cannot be judged from an object, or none is in its scope."""
    judged = KNOWN.get(rule.name)
    return [kind for kind in judged.kinds if kind in _SCOPES[rule.scope]] if judged else []


def rendered(environment: str, rules: Iterable[ComplianceRule]) -> bytes:
    """The file of an Environment: one ClusterPolicy of Kyverno; nothing where it has no rule. JSON is YAML, too."""
    made = [_rule(environment, rule) for rule in canonical(rules) if kinds_of(rule)]
    if not made:
        return b""
    document = {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {
            "name": f"catalyst-{environment}",
            "labels": {"app.kubernetes.io/part-of": "catalyst", "openova.io/environment": environment},
            # The rules name the kinds that make pods themselves.
            "annotations": {"pod-policies.kyverno.io/autogen-controllers": "none"},
        },
        "spec": {"background": True, "rules": made},
    }  # fmt: skip - a document
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()


def _rule(environment: str, rule: ComplianceRule) -> dict[str, Any]:
    judged = KNOWN[rule.name]
    judged_there = {"kinds": kinds_of(rule), "operations": ["CREATE", "UPDATE"]}
    reached = (
        judged_there | {"namespaces": [environment]},
        judged_there | {"namespaceSelector": {"matchLabels": {"openova.io/environment": environment}}},
    )
    return {
        "name": rule.name,
        "match": {"any": [{"resources": one} for one in reached]},
        "validate": {
            "failureAction": "Enforce" if rule.mode is Mode.ENFORCING else "Audit",
            "cel": {"expressions": [{"expression": judged.expression, "message": judged.message}]},
        },
    }
