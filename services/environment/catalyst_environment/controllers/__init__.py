"""Objects of a cluster whose kinds this daemon owns."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_kube import KINDS
from catalyst_kube.daemons import Own, Owned

from .applications import Applications
from .environments import Environments
from .judged import Judged
from .organizations import Organizations
from .policies import Policies

SERVICE = "environment"


def owned(servicers: Mapping[str, Any]) -> Sequence[Owned]:
    """What this daemon reconciles, over its own servicers by their short names."""
    ask = Own(SERVICE)
    return (
        Owned(KINDS["Organization"], Organizations(ask, servicers["OrganizationService"])),
        Owned(KINDS["Environment"], Environments(ask, servicers["EnvironmentService"])),
        Owned(KINDS["Application"], Applications(ask, servicers["ApplicationService"])),
        # A policy whose object goes stays as it is: nobody loosens a gate by taking a file away.
        Owned(KINDS["EnvironmentPolicy"], Policies(ask, servicers["PolicyService"]), is_noted=False),
        Owned(KINDS["SecretPolicy"], Judged("Rotating"), is_noted=False),
        Owned(KINDS["Runbook"], Judged("Watching"), is_noted=False),
    )  # fmt: skip - a table
