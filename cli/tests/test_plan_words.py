"""A plan as a person reads it."""

from pathlib import Path
from typing import Any

import pytest
from catalyst_cli.commands.sovereign import plan as command
from catalyst_cli.commands.sovereign import plans


def plan(**changes: Any) -> dict[str, Any]:
    month = {"minor": "6424", "currency": "EUR"}
    made: dict[str, Any] = {
        "name": "sovereigns/a/plans/p-1", "hash": "0" * 64, "applicable": True, "expireTime": "2026-01-02T12:00:00Z",
        "changes": [
            {"cluster": "c", "address": "server.cp[1]", "action": "ACTION_CREATE"},
            {"cluster": "c", "address": "lb", "action": "ACTION_UPDATE", "changedPaths": ["size"], "reason": "wished"},
            {"cluster": "c", "address": "net", "action": "ACTION_NO_OP"},
        ],
        "components": [
            {"cluster": "c", "blueprint": "bp-a", "action": "ACTION_ADD", "wave": 2},
            {"cluster": "c", "blueprint": "bp-b", "action": "ACTION_REMOVE", "previousVersion": "1.0.0"},
        ],
        "cost": {"after": {"total": {"month": month, "hourMicros": "88000"}, "unpriced": ["c/ip"]}},
        "steps": [{"phase": "prepare"}, {"phase": "name"}, {"phase": "name"}],
    }  # fmt: skip
    return made | changes


def test_it_names_the_release_that_its_channel_held() -> None:
    assert "release    stable@sha256:1" in plans.lines(plan(inputs={"release": "stable@sha256:1"}))


def test_it_says_what_happens_what_it_costs_and_what_has_no_price() -> None:
    assert plans.lines(plan()) == [
        "plan       sovereigns/a/plans/p-1, good until 2026-01-02 12:00 UTC",
        "resources  1 to create, 1 to update; 1 stay",
        "  + c  server.cp[1]",
        "  ~ c  lb (size): wished",
        "components 1 to add, 1 to remove; 2 waves",
        "  - c  bp-b 1.0.0 -> gone",
        "cost       64.24 EUR a month, 0.0880 EUR an hour",
        "unpriced   c/ip; it is in no sum",
        "steps      3 (prepare 1, name 2)",
        f"hash       {'0' * 64}",
    ]


def test_it_says_what_hurts_who_must_agree_and_what_would_do_instead() -> None:
    finding = {"code": "capacity.size", "severity": "SEVERITY_ERROR", "field": "spec.x", "message": "sold out",
               "remedy": "take another", "alternatives": ["providers/p/regions/r/offers/sb8"]}  # fmt: skip
    gate = {"kind": "destroy", "message": "all goes", "roles": ["security-officer"], "secondPerson": True}
    said = plans.lines(plan(findings=[finding], gates=[gate], risks=[{"code": "x", "message": "it hurts"}], empty=True))
    assert said[-5:-1] == [
        "risk       x: it hurts",
        "error      capacity.size: spec.x: sold out (take another); instead: sb8",
        "approval   destroy: all goes (security-officer; not its requester)",
        "nothing would change",
    ]


def test_it_says_what_is_paid_for_and_what_a_change_saves() -> None:
    def line(kind: str, item: str, minor: int) -> dict[str, Any]:
        return {"kind": kind, "item": item, "price": {"month": {"minor": str(minor), "currency": "EUR"}}}

    lines = [
        line("server", "sb4", 1460),
        line("network", "", 0),
        line("server", "sb8", 2920),
        line("server", "sb4", 1460),
    ]
    total = {"month": {"minor": "5840", "currency": "EUR"}, "hourMicros": "80000"}
    before = {"lines": lines, "total": {"month": {"minor": "7300", "currency": "EUR"}}}
    cost = {"after": {"total": total, "lines": lines}, "before": before,
            "difference": {"month": {"minor": "-1460", "currency": "EUR"}}}  # fmt: skip
    said = plans.lines(plan(cost=cost))
    assert said[6:9] == [
        "cost       58.40 EUR a month, 0.0800 EUR an hour; 73.00 EUR now, 14.60 EUR less",
        "   1 server sb8  29.20 EUR",
        "   2 server sb4  29.20 EUR",
    ]


def test_the_plan_that_was_asked_for_is_data_and_goes_to_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("name: sovereigns/a")
    monkeypatch.setenv("CATALYST_CLI_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setattr(plans, "ensure_sovereign", lambda *_: {})
    monkeypatch.setattr(plans, "make", lambda *_: plan())
    command.plan(tmp_path / "a.yaml")
    assert capsys.readouterr().out.splitlines() == plans.lines(plan())
