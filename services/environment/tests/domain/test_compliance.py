"""Each rule, evaluated as Kyverno would: what has everything passes, and what lacks one thing fails by that one."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import celpy
import pytest
from catalyst_environment.domain.compliance import KNOWN, ComplianceRule, Mode, Scope, rendered, unrendered
from catalyst_kube.kinds.policies import POLICIES
from celpy.adapter import json_to_cel

SAFE = {"runAsNonRoot": True, "readOnlyRootFilesystem": True}
ROOTED = {"runAsNonRoot": True}
CONTAINER = {
    "name": "blog",
    "image": "registry.example:5000/blog:1.2.3",
    "livenessProbe": {},
    "readinessProbe": {},
    "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}, "limits": {"memory": "2Mi"}},
    "securityContext": SAFE,
    "env": [{"name": "A", "value": "b"}],
}
GOOD: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "blog", "labels": {"helm.toolkit.fluxcd.io/name": "blog"}},
    "spec": {
        "replicas": 2,
        "template": {"spec": {"containers": [CONTAINER], "topologySpreadConstraints": [{"maxSkew": 1}]}},
    },
}


def broken(change: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]) -> dict[str, Any]:
    """GOOD after `change` of the object, its pod and its container."""
    one = deepcopy(GOOD)
    pod = one["spec"]["template"]["spec"]
    change(one, pod, pod["containers"][0])
    return one


LACKING = {
    "multiReplica": broken(lambda one, pod, c: one["spec"].update(replicas=1)),
    "topologySpread": broken(lambda one, pod, c: pod.pop("topologySpreadConstraints")),
    "probesPresent": broken(lambda one, pod, c: c.pop("readinessProbe")),
    "resourceRequests": broken(lambda one, pod, c: c["resources"]["requests"].pop("cpu")),
    "resourceLimits": broken(lambda one, pod, c: c["resources"].pop("limits")),
    "image-tag-pinned": broken(lambda one, pod, c: c.update(image="registry.example:5000/blog")),
    "run-as-non-root": broken(lambda one, pod, c: c["securityContext"].pop("runAsNonRoot")),
    "readonly-root-fs": broken(
        lambda one, pod, c: pod.update(initContainers=[{**CONTAINER, "securityContext": ROOTED}])
    ),
    "secret-not-in-env": broken(lambda one, pod, c: c["env"].append({"name": "P", "valueFrom": {"secretKeyRef": {}}})),
    "flux-managed": broken(lambda one, pod, c: one["metadata"].pop("labels")),
}  # fmt: skip - a table


@pytest.fixture(scope="module")
def judges() -> dict[str, Any]:
    cel = celpy.Environment()
    return {name: cel.program(cel.compile(judged.expression)) for name, judged in KNOWN.items()}


def failing(judges: dict[str, Any], one: dict[str, Any]) -> list[str]:
    return [name for name, program in judges.items() if not program.evaluate({"object": json_to_cel(one)})]


def test_a_workload_that_has_everything_passes_and_each_that_lacks_one_thing_fails_by_it(
    judges: dict[str, Any],
) -> None:
    assert failing(judges, GOOD) == []
    assert {name: failing(judges, one) for name, one in LACKING.items()} == {name: [name] for name in KNOWN}


@pytest.mark.parametrize(
    ("image", "passes"),
    [
        ("blog:1", True),
        ("blog@sha256:" + "0" * 64, True),
        ("blog:latest", False),
        ("blog", False),
        ("host:5000/blog", False),
        ("host:5000/blog:2", True),
    ],
)  # fmt: skip - a table
def test_an_image_is_pinned_by_a_version_or_a_digest(judges: dict[str, Any], image: str, passes: bool) -> None:
    assert (failing(judges, broken(lambda one, pod, c: c.update(image=image))) == []) is passes


def test_a_container_may_not_take_back_what_its_pod_promises(judges: dict[str, Any]) -> None:
    def root(one: dict[str, Any], pod: dict[str, Any], c: dict[str, Any]) -> None:
        pod["securityContext"] = {"runAsNonRoot": True}
        c["securityContext"] = {**SAFE, "runAsNonRoot": False}

    assert failing(judges, broken(root)) == ["run-as-non-root"]


def test_rules_reach_their_environment_alone_each_with_its_mode_and_its_kinds() -> None:
    rules = (
        ComplianceRule("run-as-non-root", Mode.ENFORCING),
        ComplianceRule("multiReplica", scope=Scope.STATEFUL),
        ComplianceRule("pdb", Mode.ENFORCING),
    )
    document = json.loads(rendered("acme-prod", rules))
    told = {
        rule["name"]: (rule["validate"]["failureAction"], rule["match"]["any"][0]["resources"]["kinds"])
        for rule in document["spec"]["rules"]
    }
    assert told == {
        "multiReplica": ("Audit", ["StatefulSet"]),
        "run-as-non-root": ("Enforce", ["Deployment", "StatefulSet", "DaemonSet", "Job"]),
    }
    for rule in document["spec"]["rules"]:
        own, labelled = (one["resources"] for one in rule["match"]["any"])
        assert own["namespaces"] == ["acme-prod"]
        assert labelled["namespaceSelector"] == {"matchLabels": {"openova.io/environment": "acme-prod"}}
        assert own["kinds"] == labelled["kinds"]
    assert rendered("acme-prod", reversed(rules)) == rendered("acme-prod", rules)
    assert unrendered(rules) == ("pdb",)
    assert rendered("acme-prod", rules[2:]) == b""


def test_what_is_rendered_is_a_policy_that_objects_may_name() -> None:
    assert set(KNOWN) <= set(POLICIES)
