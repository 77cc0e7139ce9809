"""Which objects are right: the samples, each wrong single field of the specification's table, and changes that must not be."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_kube import KINDS, lint
from catalyst_kube.schemas import definition, structural

SAMPLES = {path.stem: yaml.safe_load(path.read_text()) for path in Path("deploy/samples").glob("*.yaml")}


def having(sample: str, path: str, value: Any) -> dict[str, Any]:
    """The sample with one value at a path such as `spec.regions.0.code`; `...` takes it away."""
    whole: dict[str, Any] = deepcopy(SAMPLES[sample])
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    here: Any = whole
    for parent in parents:
        here = here[parent]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return whole


def test_each_kind_has_its_sample_and_it_is_right() -> None:
    assert {sample["kind"] for sample in SAMPLES.values()} == set(KINDS)
    assert {name: lint(sample) for name, sample in SAMPLES.items() if lint(sample)} == {}


WRONG = [
    ("organization", "spec.slug", "AC", "spec.slug"),
    ("organization", "spec.slug", "acme-", "spec.slug"),
    ("organization", "spec.slug", "a--b", "spec.slug"),
    ("organization", "spec.slug", "a" * 33, "spec.slug"),
    ("organization", "spec.slug", "Ácme", "spec.slug"),
    ("organization", "spec.kind", "vendor", "spec.kind"),
    ("organization", "spec.tier", "premium", "spec.tier"),
    ("organization", "spec.billingMode", "invoice", "spec.billingMode"),
    ("organization", "spec.kind", "internal", "spec.billingMode"),
    ("organization", "spec.owners", [], "spec.owners"),
    ("organization", "spec.owners.0.role", "viewer", "spec.owners"),
    ("organization", "spec.identity.federationProvider", "saml", "spec.identity.federationProvider"),
    ("organization", "spec.identity.federationConfig", ..., "spec.identity.federationConfig"),
    ("organization", "spec.commerce.addons", "backup", "spec.commerce.addons"),
    ("organization", "spec.commerce.spendLimitMonth", "25,50", "spec.commerce.spendLimitMonth"),
    ("organization", "spec.commerce.overageMode", "unlimited", "spec.commerce.overageMode"),
    ("organization", "spec.tenantPublic.backendService", ..., "spec.tenantPublic.backendService"),
    ("organization", "spec.suspended", True, "spec.suspendReason"),
    ("organization", "metadata.name", "other", "metadata.name"),
    ("organization", "spec.tenantPublik", {}, "spec.tenantPublik"),
    ("environment", "spec.envType", "dr", "spec.envType"),
    ("environment", "spec.placement", "active-active", "spec.placement"),
    ("environment", "spec.placement", "single-region", "spec.regions"),
    ("environment", "spec.regions.0.provider", "Linode!", "spec.regions[0].provider"),
    ("environment", "spec.regions.0.buildingBlock", "core", "spec.regions[0].buildingBlock"),
    ("environment", "spec.regions", [], "spec.regions"),
    ("environment", "metadata.name", "acme-production", "metadata.name"),
    ("application", "spec.blueprintRef.version", "1.3", "spec.blueprintRef.version"),
    ("application", "spec.blueprintRef.name", "ghost", "spec.blueprintRef.name"),
    ("application", "spec.placement.mode", "round-robin", "spec.placement.mode"),
    ("application", "spec.topology.rto", "1 minute", "spec.topology.rto"),
    ("application", "spec.healthCheck.intervalSeconds", 600, "spec.healthCheck.intervalSeconds"),
    ("application", "spec.healthCheck.timeoutSeconds", 30, "spec.healthCheck.timeoutSeconds"),
    ("application", "spec.owners.0.role", "superuser", "spec.owners[0].role"),
    ("application", "spec.regions", ..., "spec.environmentRef"),
    ("application", "spec.helmRelease", {"name": "a", "namespace": "b"}, "spec.helmRelease"),
    ("sovereign", "spec.fqdn", "localhost", "spec.fqdn"),
    ("sovereign", "spec.fqdn", "Omantel.omani.works", "spec.fqdn"),
    ("sovereign", "spec.deploymentId", "0123", "spec.deploymentId"),
    ("sovereign", "spec.bcpTopology", "split-brain", "spec.bcpTopology"),
    ("sovereign", "spec.regions.0.code", ..., "spec.regions[0]"),
    ("sovereign", "spec.regions.1.role", "primary", "spec.regions"),
    ("sovereign", "spec.regions", [{"code": "fsn"}], "spec.regions"),
    ("sovereign", "spec.parentDomains.1.role", "primary", "spec.parentDomains"),
    ("sovereign", "spec.buildingBlocks", ["rtz"], "spec.buildingBlocks"),
    ("environmentpolicy", "spec.promotion.requiredApprovers", 99, "spec.promotion.requiredApprovers"),
    ("environmentpolicy", "spec.promotion.soakHours", -1, "spec.promotion.soakHours"),
    ("environmentpolicy", "spec.promotion.requiredComplianceScore", 150, "spec.promotion.requiredComplianceScore"),
    ("environmentpolicy", "spec.compliance.weights.pdb.weight", 200, "spec.compliance.weights.pdb.weight"),
    ("environmentpolicy", "spec.compliance.weights.pdb.scope", "ephemeral", "spec.compliance.weights.pdb.scope"),
    ("environmentpolicy", "spec.compliance.modes.pdb", "block", "spec.compliance.modes.pdb"),
    ("environmentpolicy", "spec.compliance.modes.luck", "permissive", "spec.compliance.modes"),
    ("environmentpolicy", "spec.rules.3.cron", ..., "spec.rules"),
    ("secretpolicy", "spec.rotation.0.ttl", "often", "spec.rotation[0].ttl"),
    ("secretpolicy", "spec.rotation.1.labelSelector.matchExpressions.0.values", [], "spec.rotation"),
    ("runbook", "spec.trigger.kind", "hunch", "spec.trigger.kind"),
    ("runbook", "spec.trigger.config", {}, "spec.trigger.config"),
    ("runbook", "spec.steps.0", {"run": "a", "verify": "b"}, "spec.steps"),
    ("runbook", "spec.approval.timeoutSeconds", 5, "spec.approval.timeoutSeconds"),
    ("continuum", "spec.primaryRegion", "hz-fsn", "spec.primaryRegion"),
    ("continuum", "spec.hotStandbyRegions", ["hz-fsn-rtz-prod"], "spec.hotStandbyRegions"),
    ("continuum", "spec.hotStandbyRegions", [], "spec.mode"),
    ("continuum", "spec.mode", "manual", "spec.autoFailover"),
    ("continuum", "spec.regions.1.name", "hz-nbg-rtz-prod", "spec.regions"),
    ("continuum", "spec.leaseClient.kind", "zookeeper", "spec.leaseClient.kind"),
    ("continuum", "spec.luaRecord.ttl", 3600, "spec.luaRecord.ttl"),
    ("provisioningstate", "spec.workerCount", 101, "spec.workerCount"),
    ("provisioningstate", "metadata.name", "other", "metadata.name"),
    ("provisioningstate", "spec.parentDomains.0.role", "org-pool", "spec.parentDomains[0].role"),
    ("blueprint", "spec.consoleUI.sidebarOrder", 101, "spec.consoleUI.sidebarOrder"),
    ("blueprint", "spec.tier", "luxury", "spec.tier"),
]  # fmt: skip - a table


@pytest.mark.parametrize(("sample", "path", "value", "field"), WRONG)
def test_one_wrong_field_is_refused_by_its_name(sample: str, path: str, value: Any, field: str) -> None:
    assert field in [each.field for each in lint(having(sample, path, value))]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    one = having("organization", "spec.kind", "vendor")
    one["spec"] |= {"tier": "premium", "billingMode": "invoice", "owners": []}
    assert [each.field for each in lint(one)] == ["spec.billingMode", "spec.kind", "spec.owners", "spec.tier"]


def test_a_field_that_was_mistyped_is_told_its_right_name() -> None:
    (found,) = lint(having("application", "spec.helthCheck", {}))
    assert str(found) == "spec.helthCheck: there is no such field; healthCheck is meant"


CHANGES = [
    ("organization", "spec.slug", "other", "spec.slug"),
    ("sovereign", "spec.deploymentId", "f" * 16, "spec.deploymentId"),
    ("sovereign", "spec.deploymentId", ..., "spec.deploymentId"),
    ("environment", "spec.organizationRef", "other", "spec.envType"),
    ("provisioningstate", "spec.deploymentID", "other", "spec.deploymentID"),
]


@pytest.mark.parametrize(("sample", "path", "value", "field"), CHANGES)
def test_what_never_changes_does_not(sample: str, path: str, value: Any, field: str) -> None:
    changed = having(sample, path, value)
    assert field in [each.field for each in lint(changed, SAMPLES[sample])]
    assert field not in [each.field for each in lint(changed)]


def test_an_instance_id_stays_once_there_is_one() -> None:
    first = having("application", "spec.instanceId", "ab12cd34")
    assert lint(first, SAMPLES["application"]) == []
    assert [each.field for each in lint(SAMPLES["application"], first)] == ["spec.instanceId"]


def test_another_kind_is_not_ours() -> None:
    (found,) = lint({"apiVersion": "v1", "kind": "Pod"})
    assert found.field == "kind"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_definition_is_structural(name: str) -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema"""

    def walk(node: Any, where: str) -> None:
        assert "$ref" not in node, where
        assert "anyOf" not in node, where
        assert "type" in node or node.get("x-kubernetes-preserve-unknown-fields"), where
        assert not ("properties" in node and "additionalProperties" in node), where
        for key, each in node.get("properties", {}).items():
            walk(each, f"{where}.{key}")
        for key in ("items", "additionalProperties"):
            if key in node:
                walk(node[key], f"{where}.{key}")

    walk(structural(KINDS[name]), name)
    (version,) = definition(KINDS[name])["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert "observedGeneration" in version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_columns_show_is_there(name: str) -> None:
    kind = KINDS[name]
    whole = structural(kind)["properties"]
    for column in kind.columns:
        root, *steps = column.path.lstrip(".").split("[")[0].split(".")
        node = whole[root]
        for step in steps if root != "metadata" else ():
            if "x-kubernetes-preserve-unknown-fields" in node and step not in node.get("properties", {}):
                break  # what is below is the catalogue's schema's to say
            assert step in node["properties"], column.path
            node = node["properties"][step]
