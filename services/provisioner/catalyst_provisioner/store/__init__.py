"""Tables and SQL of the provisioner; one `Store` is one transaction."""

from .applied import AppliedRows
from .clusters import ClusterRow, ClusterRows, CommandEnd, ComponentRow, Given
from .component_logs import ComponentLine, ComponentLogs
from .credentials import CredentialRecords
from .grants import GrantRows
from .ledger import Entry, LedgerRows
from .plans import PlanRow, PlanRows
from .secrets import CredentialRow, EnrolmentRow, JoinRow, Reservation, SecretRows
from .sovereigns import SovereignRows
from .tables import commands, metadata
from .workloads import WorkloadList, WorkloadRow, WorkloadRows


class Store(
    SovereignRows, PlanRows, LedgerRows, ClusterRows, SecretRows, CredentialRecords, GrantRows, ComponentLogs, AppliedRows,
    WorkloadRows,
):  # fmt: skip
    """Everything that the provisioner keeps."""


COMMANDS = commands.name
"""Table of what agents are to do, for which the bell rings."""

__all__ = [
    "COMMANDS",
    "ClusterRow",
    "CommandEnd",
    "ComponentLine",
    "ComponentRow",
    "CredentialRow",
    "EnrolmentRow",
    "Entry",
    "Given",
    "JoinRow",
    "PlanRow",
    "Reservation",
    "Store",
    "WorkloadList",
    "WorkloadRow",
    "metadata",
]
