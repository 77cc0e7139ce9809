"""Our kinds at a real API server: definitions are taken, samples too, wrong fields are refused, status is apart."""

from copy import deepcopy
from typing import Any

import pytest
from catalyst_kube import KINDS
from catalyst_kube.kind import Kind, Scope

from lib.kube.tests.test_linting import SAMPLES, WRONG, having

from .server import KubeServer

RULES = {"spec.regions", "metadata.name", "spec.owners", "spec.environmentRef", "spec.mode", "spec.suspendReason"}
"""Fields at which rules between fields speak, which this API server is too old to know."""


def place(kind: Kind, namespace: str, name: str = "") -> str:
    where = f"/namespaces/{namespace}" if kind.scope is Scope.NAMESPACED else ""
    return f"/apis/{kind.api_version}{where}/{kind.plural}" + (f"/{name}" if name else "")


def made(kube: KubeServer, namespace: str, manifest: dict[str, Any], *, dry: bool = False) -> tuple[int, Any]:
    kind = KINDS[manifest["kind"]]
    one = deepcopy(manifest)
    if kind.scope is Scope.NAMESPACED:
        one["metadata"]["namespace"] = namespace
    return kube.ask("POST", place(kind, namespace) + ("?dryRun=All" if dry else ""), one)


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_a_sample_is_taken_and_nothing_of_it_is_lost(sample: str, definitions: KubeServer, namespace: str) -> None:
    status, answer = made(definitions, namespace, SAMPLES[sample], dry=True)
    assert status == 201, answer
    assert contains(answer["spec"], SAMPLES[sample]["spec"]), "what the schema does not know was pruned"


def contains(whole: Any, part: Any) -> bool:
    """Whether all of `part` stands in `whole`, which may say more: defaults."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], each) for key, each in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


BY_SCHEMA = [
    row
    for row in WRONG
    if row[0] != "blueprint"
    and row[3].replace("[0]", ".0").replace("[1]", ".1") == row[1]
    and row[3] not in RULES
    and not row[3].startswith(("spec.billingMode", "spec.deploymentId"))
    and row[1] not in ("spec.placement.mode", "spec.tenantPublik", "spec.hotStandbyRegions", "spec.autoFailover")
]  # fmt: skip - a table
OTHERS = (
    "spec.compliance.modes",
    "spec.rules",
    "spec.rotation",
    "spec.steps",
    "spec.trigger.config",
    "spec.buildingBlocks",
    "spec.helmRelease",
    "spec.parentDomains",
    "spec.identity.federationConfig",
    "spec.tenantPublic.backendService",
    "spec.healthCheck.timeoutSeconds",
)  # fmt: skip - a list
BY_SCHEMA = [row for row in BY_SCHEMA if row[3] not in OTHERS]


def test_more_than_twenty_wrong_fields_are_tried() -> None:
    assert len(BY_SCHEMA) >= 20


@pytest.mark.parametrize(("sample", "path", "value", "field"), BY_SCHEMA)
def test_a_wrong_field_is_refused(
    sample: str, path: str, value: Any, field: str, definitions: KubeServer, namespace: str
) -> None:
    status, answer = made(definitions, namespace, having(sample, path, value), dry=True)
    assert status == 422, answer
    assert any(cause["field"].startswith(field.split("[")[0]) for cause in answer["details"]["causes"]), answer


def test_status_is_written_apart_and_by_nobody_else(definitions: KubeServer, namespace: str) -> None:
    kind = KINDS["Runbook"]
    one = deepcopy(SAMPLES["runbook"]) | {"status": {"fireCount": 7}}
    assert made(definitions, namespace, one)[0] == 201
    path = place(kind, namespace, one["metadata"]["name"])
    _, told = definitions.ask("GET", path)
    assert "status" not in told
    merge = "application/merge-patch+json"
    status, told = definitions.ask(
        "PATCH", f"{path}/status", {"status": {"fireCount": 3}, "spec": {"cooldown": "1s"}}, media=merge
    )
    assert (status, told["status"]["fireCount"], told["spec"]["cooldown"]) == (200, 3, "15m")
    generation = told["metadata"]["generation"]
    _, told = definitions.ask("PATCH", path, {"spec": {"cooldown": "20m"}}, media=merge)
    assert told["metadata"]["generation"] == generation + 1


def test_get_prints_our_columns(definitions: KubeServer, namespace: str) -> None:
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    for kind in KINDS.values():
        status, answer = definitions.ask("GET", place(kind, namespace), media=accept)
        assert status == 200
        assert answer["kind"] in (f"{kind.name}List", "Table")
