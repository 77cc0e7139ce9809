"""EnvironmentPolicy and SecretPolicy: what must hold before something goes on, and how old a secret may get."""

from typing import Annotated, Literal

from pydantic import Field

from ..kind import AGE, Column, Kind, Part, Rule, Scope, Status

SPAN = "^[0-9]+(s|m|h|d)$"
POLICIES = (
    "multiReplica",
    "pdb",
    "topologySpread",
    "probesPresent",
    "resourceRequests",
    "resourceLimits",
    "pvcExpansion",
    "hpaEffective",
    "cilium-l7-mtls",
    "flux-managed",
    "harbor-proxy-pull",
    "image-tag-pinned",
    "prometheus-scrape",
    "networkpolicy-present",
    "otel-injected",
    "hubble-flows-seen",
    "run-as-non-root",
    "readonly-root-fs",
    "cosign-verified",
    "secret-not-in-env",
    "backup-configured",
)  # fmt: skip - a list
"""Names of policies that are known."""
_KNOWN = "[" + ", ".join(f"'{name}'" for name in POLICIES) + "]"
Score = Annotated[int, Field(ge=0, le=100)]


class Promotion(Part):
    required_approvers: Annotated[int, Field(ge=0, le=10)] = 0
    soak_hours: Annotated[int, Field(ge=0, le=720)] = 0
    required_compliance_score: Score | None = None


class Weight(Part):
    weight: Score
    scope: Literal["stateful", "stateless", "all"] = "all"


class Compliance(Part):
    weights: dict[str, Weight] = {}
    modes: dict[str, Literal["permissive", "enforcing"]] = {}


class AppliesTo(Part):
    environments: list[Annotated[str, Field(max_length=64)]] = []


class Gate(Part):
    type: Literal["pr-required", "re-score-gate", "soak", "change-window", "recording-required"]
    approvers: list[Annotated[str, Field(max_length=320)]] = []
    min_approvals: Annotated[int, Field(ge=1, le=10)] | None = None
    min_score: Score | None = None
    severity: Literal["blocking"] | None = None
    source_environment: Annotated[str, Field(max_length=64)] = ""
    duration: Annotated[str, Field(pattern=SPAN)] | None = None
    cron: Annotated[str, Field(max_length=128)] = ""


class EnvironmentPolicySpec(Part):
    promotion: Promotion | None = None
    compliance: Compliance | None = None
    applies_to: AppliesTo | None = None
    rules: Annotated[list[Gate], Field(max_length=64)] = []


class EnvironmentPolicyStatus(Status):
    policy_count: int = 0
    applied_at: str | None = None


def _gate(kind: str, needs: str) -> Rule:
    return Rule(
        f"!has(self.rules) || self.rules.all(r, r.type != '{kind}' || has(r.{needs}))",
        f"{kind} needs {needs}",
        "spec.rules",
    )


ENVIRONMENT_POLICY = Kind(
    "catalyst.openova.io",
    "v1",
    "EnvironmentPolicy",
    "environmentpolicies",
    ("envpol", "envpols"),
    Scope.CLUSTER,
    EnvironmentPolicySpec,
    EnvironmentPolicyStatus,
    columns=(
        Column("Approvers", ".spec.promotion.requiredApprovers", "integer"),
        Column("SoakHrs", ".spec.promotion.soakHours", "integer"),
        Column("Policies", ".status.policyCount", "integer"),
        AGE,
    ),
    rules=(
        Rule(
            f"!has(self.compliance) || !has(self.compliance.weights) || self.compliance.weights.all(name, name in {_KNOWN})",
            "weights name policies that are known",
            "spec.compliance.weights",
        ),
        Rule(
            f"!has(self.compliance) || !has(self.compliance.modes) || self.compliance.modes.all(name, name in {_KNOWN})",
            "modes name policies that are known",
            "spec.compliance.modes",
        ),
        _gate("pr-required", "minApprovals"),
        _gate("re-score-gate", "minScore"),
        _gate("soak", "sourceEnvironment"),
        _gate("change-window", "cron"),
        _gate("change-window", "duration"),
    ),
)  # fmt: skip - a table


class Expression(Part):
    key: Annotated[str, Field(min_length=1, max_length=317)]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class Selector(Part):
    match_labels: dict[str, str] = {}
    match_expressions: list[Expression] = []


class Handler(Part):
    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[str, Field(max_length=63)] = ""


class Rotation(Part):
    kind: Literal[
        "database-credentials",
        "api-token",
        "oauth-client-secret",
        "signing-key",
        "tls-cert",
        "jwt-signer",
        "sealed-secret-master",
    ]  # fmt: skip - a list
    label_selector: Selector
    ttl: Annotated[str, Field(pattern=SPAN)]
    action: Literal["rotate", "warn", "block"] = "warn"
    grace_period: Annotated[str, Field(pattern=SPAN)] | None = None
    handler_ref: Handler | None = None
    rotate_before: Annotated[str, Field(pattern=SPAN)] | None = None
    require_approval: list[Annotated[str, Field(max_length=64)]] = []


class Organizations(Part):
    organization_labels: dict[str, str] = {}


class SecretPolicySpec(Part):
    rotation: Annotated[list[Rotation], Field(max_length=64)] = []
    applies_to: Organizations | None = None


class SecretPolicyStatus(Status):
    rotation_count: int = 0
    next_rotation_due: str | None = None
    last_evaluated_at: str | None = None


SECRET_POLICY = Kind(
    "catalyst.openova.io",
    "v1",
    "SecretPolicy",
    "secretpolicies",
    ("secpol", "secpols"),
    Scope.CLUSTER,
    SecretPolicySpec,
    SecretPolicyStatus,
    columns=(
        Column("Rotations", ".status.rotationCount", "integer"),
        Column("NextDue", ".status.nextRotationDue", priority=1),
        AGE,
    ),
    rules=(
        Rule(
            "!has(self.rotation) || self.rotation.all(r, !has(r.labelSelector.matchExpressions) || "
            "r.labelSelector.matchExpressions.all(e, (e.operator in ['In', 'NotIn']) == (has(e.values) && size(e.values) > 0)))",
            "In and NotIn need values, Exists and DoesNotExist have none",
            "spec.rotation",
        ),
        Rule(
            "!has(self.rotation) || self.rotation.all(r, r.kind != 'tls-cert' || !has(r.action) || r.action != 'rotate')",
            "certificates are cert-manager's to renew: warn or block",
            "spec.rotation",
        ),
    ),
)  # fmt: skip - a table
