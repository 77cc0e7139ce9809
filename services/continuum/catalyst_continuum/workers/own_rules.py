"""Rules of the user's own: CEL expressions over what is known before a move, each of which may keep a planned one from beginning.

    has(view.lag) && view.lag < 0.5
    view.planned == false || view.now.getHours('UTC') >= 22
    view.databases[view.target].ready == true

`view` has the fields of `described`; what nobody knows is not there. A rule that cannot be judged is unknown, which passes no
planned move; a failover by itself asks none of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from catalyst_sdk import Violation

from catalyst_continuum.domain.check_facts import Facts
from catalyst_continuum.domain.spec import SafetyRule

if TYPE_CHECKING:
    import celpy

PLANNED, KIND = "planned", "kind"
COUNTED = 256
"""Expressions that are kept as they were understood."""


def faults(rules: Sequence[SafetyRule]) -> Iterator[Violation]:
    """What cannot be understood, by where it stands in the wish."""
    for number, rule in enumerate(rules):
        for name, text in (("expr", rule.expr), ("when", rule.when)):
            if text and (why := _misread(text)):
                yield Violation(f"spec.safetyRules[{number}].{name}", why, "cel")


def judged(
    rules: Sequence[SafetyRule], facts: Facts, *, planned: bool, kind: str, now: float
) -> Mapping[str, bool | None]:
    """By name, whether each rule that counts lets a run pass; None: nobody can say, as of a plugin that was not asked."""
    if not rules:
        return {}
    view = seen(facts, planned=planned, kind=kind)
    return {rule.name: _says(rule.expr, view, now) for rule in counting(rules, view, now)}


def seen(facts: Facts, *, planned: bool, kind: str) -> dict[str, Any]:
    """What rules see of a run."""
    return {**described(facts), PLANNED: planned, KIND: kind}


def counting(rules: Sequence[SafetyRule], view: Mapping[str, Any], now: float) -> Sequence[SafetyRule]:
    """Those whose condition holds, or cannot be judged."""
    return [rule for rule in rules if _says(rule.when, view, now) is not False]


def described(f: Facts) -> dict[str, Any]:
    """What an expression sees as `view`, beside `planned`, `kind` and `now`; seconds where no unit stands."""
    found: dict[str, Any] = _known(
        {
            "source": f.source,
            "target": f.target,
            "holder": f.holder,
            "epoch": f.epoch,
            "cells": dict(f.cells),
            "quarantined": sorted(f.quarantined),
            "lag": f.lag,
            "loss": f.loss,
            "loss_bytes": f.loss_bytes,
            "accepts_loss": f.accepts_loss,
            "keeps_all": None if f.keeps_all is None else sorted(f.keeps_all),
            "databases": {
                region: None
                if view is None
                else {
                    "role": view.role and str(view.role),
                    "writable": view.writable,
                    "ready": view.ready,
                    "timeline": view.timeline,
                    "system_id": view.system_id,
                }
                for region, view in f.databases.items()
            },
            "suspended": f.suspended,
            "frozen": f.frozen,
            "clock_offset": f.offset,
            "drill_age": f.drill_age,
            "stable": f.stable,
        }
    )  # fmt: skip - reads as a table
    return found


def _known(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _known(one) for name, one in value.items() if one is not None}


def _says(expression: str, view: Mapping[str, Any], now: float) -> bool | None:
    """What an expression says; None where there is none, where it breaks, and where it says neither yes nor no."""
    if not expression:
        return None
    from celpy import celtypes
    from celpy.adapter import json_to_cel
    from celpy.celparser import CELParseError
    from celpy.evaluation import CELEvalError

    given: Any = json_to_cel(json.loads(json.dumps(view)))
    given[celtypes.StringType("now")] = celtypes.TimestampType(datetime.fromtimestamp(now, UTC))
    try:
        found = _program(expression).evaluate({"view": given})
    except (CELEvalError, CELParseError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return bool(found) if isinstance(found, celtypes.BoolType) else None


def _misread(expression: str) -> str:
    from celpy.celparser import CELParseError

    try:
        _program(expression)
    except CELParseError as error:
        line = str(error.args[0]).strip().splitlines()[0] if error.args else ""
        return f"is no expression of CEL: {line}".rstrip(": ")
    except RecursionError:
        return "is nested too deeply"
    return ""


@lru_cache(COUNTED)
def _program(expression: str) -> "celpy.Runner":
    # The grammar takes its time, and its memory: only a slot with rules needs it.
    import celpy
    from celpy import celtypes

    environment = celpy.Environment(annotations={"view": celtypes.MapType})
    return environment.program(environment.compile(expression))
