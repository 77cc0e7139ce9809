"""Objects of a cluster whose kinds this daemon owns."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_kube import KINDS
from catalyst_kube.controller import Reconciler
from catalyst_kube.daemons import Own, Owned

from .applications import Applications
from .environments import Environments
from .judged import Judged
from .organizations import Organizations
from .people import People
from .policies import Policies

SERVICE = "environment"
RECONCILES = ("Organization", "Environment", "Application", "EnvironmentPolicy", "SecretPolicy", "Runbook")
"""Kinds whose objects this daemon reads, and whose status it writes."""
NOT_NOTED = ("EnvironmentPolicy", "SecretPolicy", "Runbook")
"""Kinds whose end changes nothing: nobody loosens a gate by taking a file away."""


def owned(servicers: Mapping[str, Any]) -> Sequence[Owned]:
    """What this daemon reconciles, over its own servicers by their short names."""
    ask = Own(SERVICE)
    reconcilers: Mapping[str, Reconciler] = {
        "Organization": Organizations(ask, servicers["OrganizationService"], People(ask, servicers["MemberService"])),
        "Environment": Environments(ask, servicers["EnvironmentService"]),
        "Application": Applications(ask, servicers["ApplicationService"]),
        "EnvironmentPolicy": Policies(ask, servicers["PolicyService"]),
        "SecretPolicy": Judged("Rotating"),
        "Runbook": Judged("Watching"),
    }  # fmt: skip - a table
    return [Owned(KINDS[name], reconcilers[name], is_noted=name not in NOT_NOTED) for name in RECONCILES]
