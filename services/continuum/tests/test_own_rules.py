"""Rules of the user's own, over what is known before a move."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain import checks
from catalyst_continuum.domain.check_facts import Facts
from catalyst_continuum.domain.spec import SafetyRule, SpecInvalid
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.rpc.specs import parsed
from catalyst_continuum.workers import plugin_rules
from catalyst_continuum.workers.own_rules import faults, judged, seen
from catalyst_mesh import PluginUnavailable
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import CheckResult, DatabaseView, Role, SafetyCheck, Verdict

from .manifests import having, stateful

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
FACTS = Facts(
    EAST, WEST, holder=EAST, epoch=4, cells={"a": True, "b": False}, lag=0.2,
    databases={EAST: DatabaseView(EAST, Role.PRIMARY), WEST: DatabaseView(WEST, Role.REPLICA, ready=True)},
)  # fmt: skip
MIDNIGHT = 1_767_225_600.0
"""2026-01-01T00:00:00Z, a Thursday."""


def says(expr: str, when: str = "", facts: Facts = FACTS, *, planned: bool = True) -> bool | str | None:
    """What a rule says; "none": it does not count."""
    rule = SafetyRule("mine", expr, when=when)
    found = judged([rule], facts, planned=planned, kind="switchover", now=MIDNIGHT)
    return found.get("mine", "none")


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("has(view.lag) && view.lag < 0.5", True),
        ("view.lag > 1.0", False),
        ("view.target == 'sb-west-rtz-dev' && view.epoch == 4", True),
        ("view.cells.all(name, view.cells[name])", False),
        ("view.databases[view.target].ready", True),
        ("view.databases[view.source].role == 'primary'", True),
        ("view.now.getHours('UTC') >= 6", False),
        ("view.now.getDayOfWeek('UTC') == 4", True),
        ("view.planned && view.kind == 'switchover'", True),
        ("view.nothing == 1", None),
        ("view.epoch", None),
        ("view.lag + 'a' == 'b'", None),
    ],
)  # fmt: skip - reads as a table
def test_a_rule_says_yes_no_or_cannot_be_judged(expr: str, expected: bool | None) -> None:
    assert says(expr) is expected


def test_a_rule_counts_where_its_condition_holds_and_where_nobody_can_tell() -> None:
    assert says("false", when="view.planned", planned=False) == "none"
    assert says("false", when="view.planned") is False
    assert says("false", when="view.nothing") is False


def test_what_nobody_knows_is_not_there_and_no_number() -> None:
    unknown = replace(FACTS, lag=None, epoch=None)
    assert says("!has(view.lag)", facts=unknown) is True
    assert says("view.lag < 0.5", facts=unknown) is None


def test_a_plugin_that_is_not_asked_lets_nothing_pass() -> None:
    assert judged([SafetyRule("mine", plugin="acme")], FACTS, planned=True, kind="", now=0.0) == {"mine": None}


def test_what_is_no_expression_is_refused_with_all_else_that_is_wrong() -> None:
    rules = [{"name": "good", "expr": "view.lag < 1.0"}, {"name": "bad", "expr": "view.lag <", "when": "1 +"}]
    with pytest.raises(SpecInvalid) as refused:
        parsed(having(stateful(), safetyRules=rules, primaryRegion="fsn"), House("shop"))
    fields = {violation.field for violation in refused.value.violations}
    assert {"continuum.spec.safety_rules[1].expr", "continuum.spec.safety_rules[1].when"} <= fields
    assert "continuum.spec.primary_region" in fields
    assert not list(faults([SafetyRule("good", "view.lag < 1.0")]))


class Calendar:
    """A check that says what it was made with, and remembers what it was asked."""

    def __init__(self, verdict: Verdict, found: str = "", failure: Exception | None = None) -> None:
        self.answer = CheckResult("mine", verdict, found, "wait")
        self.failure = failure
        self.asked: list[Mapping[str, Any]] = []

    async def judge(self, *, rule: str, view: Mapping[str, Any]) -> CheckResult:
        self.asked.append(view)
        if self.failure is not None:
            raise self.failure
        return self.answer


async def of_plugin(check: Calendar | None, when: str = "") -> tuple[Mapping[str, bool | None], Mapping[str, str]]:
    def judges(name: str) -> SafetyCheck:
        if check is None:
            raise PluginUnavailable(plugin=f"safety_check:{name}", why="it is not installed")
        return check

    rules = [SafetyRule("mine", plugin="calendar", when=when), SafetyRule("theirs", "true")]
    view = seen(FACTS, planned=True, kind="switchover")
    return await plugin_rules.judged(rules, view, judges, now=MIDNIGHT)


@pytest.mark.parametrize(
    ("verdict", "passes"),
    [(Verdict.PASS, True), (Verdict.WARN, True), (Verdict.BLOCK, False), (Verdict.UNKNOWN, None)],
)
async def test_a_plugin_judges_and_says_why(verdict: Verdict, passes: bool | None) -> None:
    check = Calendar(verdict, "the quarter closes")
    assert await of_plugin(check) == ({"mine": passes}, {"mine": "the quarter closes; wait"})
    assert (check.asked[0]["target"], "loss" in check.asked[0]) == (WEST, False)


@pytest.mark.parametrize("failure", [None, Temporary("away", provider="calendar"), TimeoutError()])
async def test_a_plugin_that_is_missing_or_fails_leaves_its_rule_unknown(failure: Exception | None) -> None:
    passes, said = await of_plugin(Calendar(Verdict.PASS, failure=failure) if failure else None)
    assert passes == {"mine": None}
    assert said["mine"]


async def test_a_plugin_whose_rule_does_not_count_is_not_asked() -> None:
    check = Calendar(Verdict.BLOCK)
    assert await of_plugin(check, when="view.planned == false") == ({}, {})
    assert check.asked == []


def test_what_a_plugin_says_stands_where_the_plan_shows_it() -> None:
    facts = replace(FACTS, rules={"mine": False, "late": None}, said={"mine": "the quarter closes; wait"})
    row = next(check for check in checks.judged(facts, planned=True) if check.name == "own-rules")
    assert row.found.message == "the rule mine (the quarter closes; wait) does not let it pass"
