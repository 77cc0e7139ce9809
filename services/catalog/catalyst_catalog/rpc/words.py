"""Between the words of the domain and the enums of the contract."""

from collections.abc import Mapping

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst_mesh import InvalidRequest
from catalyst_sdk import Violation

from ..domain.manifest_parts import Layer, Status, Tier
from ..domain.sources import Scope
from ..domain.trust import Attestation, Requirement, Signature
from ..domain.universe import State

VISIBILITIES: Mapping[str, "pb.Visibility.ValueType"] = {
    "listed": pb.VISIBILITY_LISTED,
    "unlisted": pb.VISIBILITY_UNLISTED,
    "private": pb.VISIBILITY_PRIVATE,
}
LAYERS: Mapping[Layer, "pb.Layer.ValueType"] = {
    Layer.CONTROL_PLANE: pb.LAYER_CONTROL_PLANE,
    Layer.HOST_INFRA: pb.LAYER_HOST_INFRA,
    Layer.APPLICATION: pb.LAYER_APPLICATION,
}
TIERS: Mapping[Tier, "pb.Tier.ValueType"] = {
    Tier.MANDATORY: pb.TIER_MANDATORY,
    Tier.RECOMMENDED: pb.TIER_RECOMMENDED,
    Tier.OPTIONAL: pb.TIER_OPTIONAL,
}
STATUSES: Mapping[Status, "pb.Blueprint.Status.ValueType"] = {
    Status.RELEASED: pb.Blueprint.STATUS_RELEASED,
    Status.PLANNED: pb.Blueprint.STATUS_PLANNED,
    Status.DEFERRED: pb.Blueprint.STATUS_DEFERRED,
}
MODES: Mapping[str, "pb.PlacementMode.ValueType"] = {
    "single-region": pb.PLACEMENT_MODE_SINGLE_REGION,
    "active-active": pb.PLACEMENT_MODE_ACTIVE_ACTIVE,
    "active-hotstandby": pb.PLACEMENT_MODE_ACTIVE_HOTSTANDBY,
}
STATES: Mapping[State, "pb.BlueprintVersion.State.ValueType"] = {
    state: pb.BlueprintVersion.State.Value(f"STATE_{state.name}") for state in State
}
SCOPES: Mapping[Scope, "pb.Source.Scope.ValueType"] = {
    scope: pb.Source.Scope.Value(f"SCOPE_{scope.name}") for scope in Scope
}
SIGNATURES: Mapping[Signature, "pb.BlueprintVersion.Signature.ValueType"] = {
    word: pb.BlueprintVersion.Signature.Value(f"SIGNATURE_{word.name}") for word in Signature
}
ATTESTATIONS: Mapping[Attestation, "pb.BlueprintVersion.Attestation.ValueType"] = {
    word: pb.BlueprintVersion.Attestation.Value(f"ATTESTATION_{word.name}") for word in Attestation
}
REQUIREMENTS: Mapping[Requirement, "pb.TrustPolicy.Requirement.ValueType"] = {
    word: pb.TrustPolicy.Requirement.Value(f"REQUIREMENT_{word.name}") for word in Requirement
}
STAGES: Mapping[str, "pb.Issue.Stage.ValueType"] = {
    stage: pb.Issue.Stage.Value(f"STAGE_{stage.upper()}")
    for stage in ("discover", "fetch", "verify", "parse", "import", "validate", "index", "publish")
    if stage != "import"
} | {"import": pb.Issue.STAGE_PARSE}


def split(name: str) -> tuple[str, str]:
    """Owner ('' for the Sovereign's) and name of `[organizations/{org}/]blueprints/{bp}`."""
    owner, _, bare = name.rpartition("blueprints/")
    return owner.strip("/").removeprefix("organizations/"), bare


def organization(slug: str) -> str:
    """Resource name of an Organization; '' for none."""
    return f"organizations/{slug}" if slug else ""


def etag(revision: int) -> str:
    """An etag with its quotes (AIP-154)."""
    return f'"{revision}"'


def refuse(field: str, description: str, rule: str) -> InvalidRequest:
    """A refusal of one field."""
    return InvalidRequest((Violation(field, description, rule),))
