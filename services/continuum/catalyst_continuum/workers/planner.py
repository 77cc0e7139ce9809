"""Dry runs: what is known of a slot is looked at, and a plan is made of it."""

from collections.abc import Callable
from dataclasses import replace
from time import time

from catalyst_mesh import PluginUnavailable
from catalyst_sdk.continuum import DatabaseView, SafetyCheck

from catalyst_continuum.domain import approvals, steering
from catalyst_continuum.domain.checks import Facts, Goals
from catalyst_continuum.domain.plan import Plan, Purpose, Times, destination, plan
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.timing import Costs

from . import own_rules, plugin_rules
from .outcomes import Committed
from .plugin_rules import Judges
from .registers import Registers
from .survey import Survey

Surveys = Callable[[Slot, Spec], Survey | None]
"""Whom to ask about a slot; None: nobody here acts for it."""
_KINDS = {Purpose.DRILL_ISOLATED: "drill"}
"""Words for approvals where they are others than the plan's."""


def _uninstalled(name: str) -> SafetyCheck:
    raise PluginUnavailable(plugin=f"{plugin_rules.SAFETY_CHECK}:{name}", why="it is not installed")


async def _nobody(region: str) -> DatabaseView | None:
    return None


class Planner:
    """Plans runs.

    surveys   of the agents of this daemon; a slot that none acts for here is planned by what its register says, and what a
              database or a name would have to tell is unknown
    noted     is told how many things stood in the way
    judges    plugins that judge rules of the user's own
    """

    def __init__(
        self,
        registers: Registers,
        surveys: Surveys,
        noted: Callable[[str, int], None] = lambda slot, blockers: None,
        wall: Callable[[], float] = time,
        judges: Judges = _uninstalled,
    ) -> None:
        self._judges = judges
        self._wall = wall
        self._registers = registers
        self._surveys = surveys
        self._noted = noted

    async def ends(self, slot: Slot, spec: Spec, purpose: Purpose, to_region: str = "") -> tuple[str, str]:
        """From where to where such a run would lead. Raises RegionInvalid."""
        outcome = await self._registers.shown(slot).register.glance(slot.key)
        lease = outcome.lease if isinstance(outcome, Committed) else None
        holder = (lease.holder if lease is not None else "") or slot.holder or spec.primary
        promotable = [region.name for region in spec.regions if region.promotable]
        return holder, destination(purpose, spec.members, promotable, holder, to_region)

    async def plan(
        self, slot: Slot, spec: Spec, purpose: Purpose, *, to_region: str = "", accepts_loss: bool = False
    ) -> Plan:
        """The plan of a run as things are. Raises RegionInvalid."""
        survey = self._surveys(slot, spec) or self._survey(slot, spec)
        holder = slot.holder or spec.primary
        promotable = [region.name for region in spec.regions if region.promotable]
        target = destination(purpose, spec.members, promotable, holder, to_region)
        known = Facts(
            holder, target, promotable=target in promotable, suspended=slot.suspended, accepts_loss=accepts_loss,
            goals=_goals(spec, purpose), drill_age=self._since_drill(slot),
        )  # fmt: skip
        facts = await survey.look(known)
        if facts.holder not in (None, "", holder):
            # The slot moved, and this daemon's store does not say so yet: the register is right.
            target = destination(purpose, spec.members, promotable, facts.holder or "", to_region)
            facts = await survey.look(replace(known, source=facts.holder or holder, target=target))
        facts = await self._ruled(spec, facts, purpose)
        wish = steering.wished(spec)
        need = approvals.need(spec.approval, _KINDS.get(purpose, purpose.value), slot.since)
        made = plan(
            purpose, replace(facts, approvals=need.quorum), _times(spec), generation=slot.generation,
            approvals=need.quorum, names=wish.plan(target) if wish else None,
        )  # fmt: skip
        self._noted(slot.key, len(made.blockers))
        return made

    async def _ruled(self, spec: Spec, facts: Facts, purpose: Purpose) -> Facts:
        """With what the user's own rules say of it."""
        if not spec.safety_rules:
            return facts
        now, planned, kind = self._wall(), purpose.is_planned, purpose.value
        rules = own_rules.judged(spec.safety_rules, facts, planned=planned, kind=kind, now=now)
        view = own_rules.seen(facts, planned=planned, kind=kind)
        asked, said = await plugin_rules.judged(spec.safety_rules, view, self._judges, now=now)
        return replace(facts, rules={**rules, **asked}, said=said)

    def _since_drill(self, slot: Slot) -> float | None:
        return None if slot.drilled_at is None else max(0.0, self._wall() - slot.drilled_at.timestamp())

    def _survey(self, slot: Slot, spec: Spec) -> Survey:
        register = self._registers.shown(slot).register
        return Survey(
            lambda: register.glance(slot.key), lambda: register.cells_of(slot.key), spec.members, spec.profile.renew,
            databases=_nobody if spec.has_database else None,
        )  # fmt: skip


def _goals(spec: Spec, purpose: Purpose) -> Goals:
    ttl = int(spec.names.ttl) if spec.names else None
    stable = spec.failback.stable_for if purpose is Purpose.FAILBACK else None
    return Goals(spec.rpo, fence=spec.profile.fence, ttl=ttl, drill_age=spec.drill.max_age, stable_for=stable)


def _times(spec: Spec) -> Times:
    ttl = spec.names.ttl if spec.names else 0.0
    drain = 10.0 if spec.switchover.drain is None else spec.switchover.drain
    return Times(spec.profile, Costs(dns_ttl=ttl), drain, spec.approval.timeout, ttl)
