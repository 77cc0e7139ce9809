"""The ten kinds, by name."""

from collections.abc import Mapping

from ..kind import Kind
from .application import APPLICATION
from .blueprint import BLUEPRINT
from .continuum import CONTINUUM
from .environment import ENVIRONMENT
from .organization import ORGANIZATION
from .policies import ENVIRONMENT_POLICY, SECRET_POLICY
from .provisioning_state import PROVISIONING_STATE
from .runbook import RUNBOOK
from .sovereign import SOVEREIGN

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        SOVEREIGN,
        ORGANIZATION,
        ENVIRONMENT,
        APPLICATION,
        BLUEPRINT,
        ENVIRONMENT_POLICY,
        SECRET_POLICY,
        RUNBOOK,
        CONTINUUM,
        PROVISIONING_STATE,
    )  # fmt: skip - a list
}
