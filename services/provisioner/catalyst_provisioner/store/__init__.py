"""Tables and SQL of the provisioner; one `Store` is one transaction."""

from .clusters import ClusterRow, ClusterRows, ComponentRow
from .credentials import CredentialRecords
from .grants import GrantRows
from .ledger import Entry, LedgerRows
from .plans import PlanRow, PlanRows
from .secrets import CredentialRow, EnrolmentRow, Reservation, SecretRows
from .sovereigns import SovereignRows
from .tables import metadata


class Store(SovereignRows, PlanRows, LedgerRows, ClusterRows, SecretRows, CredentialRecords, GrantRows):
    """Everything that the provisioner keeps."""


__all__ = [
    "ClusterRow",
    "ComponentRow",
    "CredentialRow",
    "EnrolmentRow",
    "Entry",
    "PlanRow",
    "Reservation",
    "Store",
    "metadata",
]
