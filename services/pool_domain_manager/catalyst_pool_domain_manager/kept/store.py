"""All rows of zones and of what belongs to them."""

from collections.abc import Awaitable, Callable
from typing import Any

from catalyst_pool_domain_manager.domain.backends import Backend
from catalyst_pool_domain_manager.domain.delegations import Delegation
from catalyst_pool_domain_manager.domain.drifts import Drift
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.plans import Plan
from catalyst_pool_domain_manager.domain.record_sets import Challenge
from catalyst_pool_domain_manager.domain.registrars import Account
from catalyst_pool_domain_manager.domain.server_sets import ServerSet

from .accounts import AccountRows
from .backends import BackendRows
from .delegations import DelegationRows
from .drifts import DriftRows
from .imports import ImportRows
from .plans import PlanRows
from .propagation import PropagationRows
from .servers import ServerSetRows
from .zones import ZoneRows


class KeptRows(
    ZoneRows, PlanRows, ImportRows, DriftRows, DelegationRows, BackendRows, ServerSetRows, AccountRows, PropagationRows
):  # fmt: skip - one list
    """Zones, plans, imports, drifts, delegations, backends, name-server sets, accounts at registrars, outcomes of checks."""

    async def save_kept(self, state: Any) -> None:
        """Write a decided state. Raises LostRace where another writer was faster."""
        writers: dict[type, Callable[[Any], Awaitable[None]]] = {
            Zone: self.save_zone,
            Plan: self.save_plan,
            Challenge: self.challenge,
            Drift: self.save_drift,
            Delegation: self.save_delegation,
            Backend: self.save_backend,
            ServerSet: self.save_server_set,
            Account: self.save_account,
        }
        await writers[type(state)](state)
