"""Rules of the user's own that a plugin judges. Whatever goes wrong with one leaves its rule unknown: no planned move passes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catalyst_mesh import PluginUnavailable
from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import CheckResult, SafetyCheck, Verdict

from catalyst_continuum.domain.spec import SafetyRule

from . import own_rules

SAFETY_CHECK = "safety_check"
"""Kind of the plugins."""
WITHIN = 2.0
"""Seconds for an answer: a dry run may take no longer."""
Judges = Callable[[str], SafetyCheck]
"""The plugin of a name. Raises PluginUnavailable."""
_PASSES = {Verdict.PASS: True, Verdict.WARN: True, Verdict.BLOCK: False}


async def judged(
    rules: Sequence[SafetyRule], view: Mapping[str, Any], judges: Judges, *, now: float
) -> tuple[Mapping[str, bool | None], Mapping[str, str]]:
    """By name, whether each rule that counts lets a run pass (None: nobody can say), and why; all plugins are asked at once."""
    asked = own_rules.counting([rule for rule in rules if rule.plugin], view, now)
    answers = await asyncio.gather(*(_asked(rule, view, judges) for rule in asked))
    told = {rule.name: answer for rule, answer in zip(asked, answers, strict=True)}
    return {name: _PASSES.get(one.verdict) for name, one in told.items()}, {
        name: "; ".join(filter(None, (one.found, one.next_step))) for name, one in told.items()
    }


async def _asked(rule: SafetyRule, view: Mapping[str, Any], judges: Judges) -> CheckResult:
    try:
        async with asyncio.timeout(WITHIN):
            return await judges(rule.plugin).judge(rule=rule.name, view=view)
    except TimeoutError:
        return _unknown(rule, f"{rule.plugin} did not answer within {WITHIN:g} s")
    except (PluginUnavailable, PluginFailure) as failure:
        return _unknown(rule, str(failure))


def _unknown(rule: SafetyRule, why: str) -> CheckResult:
    return CheckResult(rule.name, Verdict.UNKNOWN, why)
