"""Names as they look from elsewhere: resolvers at vantage points, and a request by each public name.

Resolvers tell what clients see and decide nothing: they keep old answers for as long as these live, and some for longer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from catalyst_sdk.continuum import CheckResult, TrafficPlan, Verdict

from catalyst_continuum.workers.by_name import ByName, Unanswered
from catalyst_continuum.workers.naming import Address, Found, resolve

ENOUGH = 2 / 3
"""Share of the resolvers that must lead to the plan's addresses."""


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Vantage points of one slot.

    http   sends requests by name, through resolvers of its own
    urls   addresses to GET, by the public names; none: no request is made
    """

    resolvers: Sequence[Address]
    http: ByName
    urls: Sequence[str] = ()
    patience: float = 1.0

    async def look(self, plan: TrafficPlan) -> Sequence[CheckResult]:
        """One result for all resolvers and a name, one for each request."""
        seen = [self._resolved(name, set(addresses)) for name, addresses in plan.addresses.items()]
        return tuple(await asyncio.gather(*(seen if self.resolvers else ()), *map(self._answered, self.urls)))

    async def _resolved(self, name: str, wanted: set[str]) -> CheckResult:
        check = f"vantage-{name}"
        found = await asyncio.gather(
            *(resolve(one, name, self.patience, recursive=True) for one in self.resolvers)
        )  # fmt: skip
        good = sum(_leads(one, wanted) for one in found)
        silent = sum(one is None for one in found)
        told = f"{good} of {len(found)} resolvers lead to {', '.join(sorted(wanted))}, {silent} are silent"
        if good >= ENOUGH * len(found):
            return CheckResult(check, Verdict.PASS, told)
        if good + silent >= ENOUGH * len(found):
            return CheckResult(check, Verdict.UNKNOWN, told, "see whether the resolvers can be reached from here")
        return CheckResult(check, Verdict.BLOCK, told, "wait for the lifetime of the records to end")

    async def _answered(self, url: str) -> CheckResult:
        check = f"request-{urlsplit(url).hostname}"
        try:
            answer = await self.http.ask("GET", url)
        except Unanswered as silent:
            return CheckResult(
                check, Verdict.BLOCK, str(silent), "look at the gateway of the region that the name leads to"
            )
        told = f"{url} answers {answer.status} from {answer.address}"
        return CheckResult(check, Verdict.PASS if answer.is_good else Verdict.BLOCK, told)


def _leads(found: Found | None, wanted: set[str]) -> bool:
    return found is not None and bool(found.addresses) and wanted.issuperset(found.addresses)
