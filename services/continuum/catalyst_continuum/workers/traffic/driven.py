"""Names that a plugin leads: it keeps the epochs, the daemon knows whereto, drains at its gateways and looks from elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import (
    AuthorityView,
    CheckResult,
    Effect,
    TrafficDriver,
    TrafficPlan,
    TrafficView,
    Verdict,
)

from catalyst_continuum.domain.steering import Steering

from .dns_update import EFFECTOR, Noted, Vantage
from .gates import ByGate, Gate


@dataclass(frozen=True)
class DrivenTraffic(ByGate):
    """The traffic of one slot in `region`. `clock`: seconds since the machine started."""

    steering: Steering
    region: str
    name: str
    driver: TrafficDriver
    clock: Callable[[], float]
    gate: Gate | None = None
    vantage: Vantage | None = None
    noted: Noted | None = None

    def plan(self, *, holder: str) -> TrafficPlan:
        """See the contract."""
        return self.steering.plan(holder)

    async def observe(self) -> TrafficView:
        """What the plugin sees; where it cannot say, no name answers."""
        sent = self.clock()
        try:
            view = await self.driver.observe(names=self.steering.names)
        except PluginFailure:
            age = self.clock() - sent
            silent = (AuthorityView(self.name, name, None, answers=False, age=age) for name in self.steering.names)
            view = TrafficView(tuple(silent))
        if self.noted is not None:
            self.noted.traffic(view)
        return view

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        """See the contract."""
        try:
            effect = await self.driver.apply(plan, epoch=epoch, run=run)
        except PluginFailure:
            return Effect.UNKNOWN
        if effect is Effect.STALE_EPOCH and self.noted is not None:
            self.noted.stale(EFFECTOR)
        return effect

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        """See the contract. Only a holder does, of names that lead to itself."""
        return await self.apply(replace(self.plan(holder=self.region), ttl=ttl), epoch=epoch, run=run)

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> Sequence[CheckResult]:
        """One result an authority, then what is seen from elsewhere."""
        view = await self.observe()
        authorities = sorted({one.authority for one in view.authorities})
        own = [_verified(authority, view, plan, epoch) for authority in authorities]
        return (*own, *(await self.vantage.look(plan) if self.vantage else ()))


def _verified(authority: str, view: TrafficView, plan: TrafficPlan, epoch: int) -> CheckResult:
    check, rows = f"authority-{authority}", {one.name: one for one in view.authorities if one.authority == authority}
    if not all(name in rows and rows[name].answers for name in plan.addresses):
        return CheckResult(check, Verdict.UNKNOWN, "it does not answer", "it gets what is wanted when it answers again")
    behind = [
        name
        for name, addresses in plan.addresses.items()
        if (rows[name].epoch, rows[name].addresses) != (epoch, addresses)
    ]
    if behind:
        return CheckResult(
            check, Verdict.BLOCK, f"not in epoch {epoch}: {', '.join(behind)}", "the plan is applied again"
        )
    return CheckResult(check, Verdict.PASS, f"{len(rows)} names in epoch {epoch}")
