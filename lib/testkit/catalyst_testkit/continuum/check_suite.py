"""Conformance of safety checks. An author subclasses `SafetyCheckSuite` and provides one fixture, `bench`.

class TestMine(SafetyCheckSuite):
    @pytest.fixture
    def bench(self) -> SafetyCheckBench: ...
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import CheckResult, SafetyCheck, Verdict

RULE = "mine"
VIEW: Mapping[str, Any] = {
    "source": "sb-east-rtz-dev",
    "target": "sb-west-rtz-dev",
    "holder": "sb-east-rtz-dev",
    "epoch": 4,
    "cells": {"cell-1": True, "cell-2": True, "cell-3": False},
    "quarantined": [],
    "lag": 0.2,
    "loss": 0.0,
    "accepts_loss": False,
    "suspended": False,
    "frozen": False,
    "planned": True,
    "kind": "switchover",
    "databases": {
        "sb-east-rtz-dev": {"role": "primary", "writable": True, "ready": True, "timeline": 1, "system_id": "7"},
        "sb-west-rtz-dev": {"role": "replica", "writable": False, "ready": True, "timeline": 1, "system_id": "7"},
    },
}  # fmt: skip - a view
"""What is known of a slot that is well."""


@dataclass
class SafetyCheckBench:
    """A check, and the two states of what it looks at.

    allow, forbid   make the world such that the check lets a move of `VIEW` begin, or does not
    lose            what it asks does not answer; None: it asks nobody
    """

    check: SafetyCheck
    allow: Callable[[], Awaitable[None]]
    forbid: Callable[[], Awaitable[None]]
    lose: Callable[[], Awaitable[None]] | None = None

    async def judge(self, view: Mapping[str, Any] = VIEW) -> CheckResult:
        """What it says; what it raises means that nobody can say."""
        try:
            return await self.check.judge(rule=RULE, view=view)
        except PluginFailure as failure:
            return CheckResult(RULE, Verdict.UNKNOWN, str(failure))


class SafetyCheckSuite:
    """The tests that every safety check passes, ours or a stranger's."""

    async def test_it_lets_a_move_begin_where_nothing_is_against_it(self, bench: SafetyCheckBench) -> None:
        await bench.allow()
        assert (await bench.judge()).verdict in (Verdict.PASS, Verdict.WARN)

    async def test_it_keeps_a_move_from_beginning_and_says_why_and_what_to_do(self, bench: SafetyCheckBench) -> None:
        await bench.forbid()
        told = await bench.judge()
        assert told.verdict is Verdict.BLOCK
        assert told.found
        assert told.next_step

    async def test_it_answers_under_the_name_of_the_rule(self, bench: SafetyCheckBench) -> None:
        await bench.allow()
        assert (await bench.judge()).name == RULE

    async def test_it_changes_nothing_of_what_it_is_shown_and_says_the_same_again(
        self, bench: SafetyCheckBench
    ) -> None:  # fmt: skip - one line
        await bench.forbid()
        shown = deepcopy(dict(VIEW))
        first = await bench.judge(shown)
        assert json.dumps(shown) == json.dumps(VIEW)
        assert await bench.judge(shown) == first

    async def test_whatever_is_not_known_it_answers_or_says_that_nobody_can_tell(self, bench: SafetyCheckBench) -> None:
        await bench.allow()
        for name in VIEW:
            rest = {key: value for key, value in VIEW.items() if key != name}
            assert isinstance(await bench.judge(rest), CheckResult)
        assert isinstance(await bench.judge({}), CheckResult)

    async def test_what_does_not_answer_lets_nothing_pass(self, bench: SafetyCheckBench) -> None:
        await bench.allow()
        if bench.lose is not None:
            await bench.lose()
            async with asyncio.timeout(60):
                assert (await bench.judge()).verdict not in (Verdict.PASS, Verdict.WARN)
