"""Alerts of continuum: each asks for metrics that exist, and has a page that says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_continuum.domain.spec import parse
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Facts, conditions

from services.continuum.tests.manifests import EAST, stateful
from tests.docs.test_metrics import WORDS, rows, series

FILE = Path("deploy/observability/continuum-alerts.yaml")
PAGES = Path("docs/runbooks/continuum")
(GROUP,) = yaml.safe_load(FILE.read_text())["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]
WANTED = {
    "SplitBrainSuspected",
    "NoPrimary",
    "WitnessQuorumLost",
    "RunStuck",
    "TrafficStale",
    "AuthorityLow",
    "StandbyAbsent",
    "LagOverRPO",
    "SyncLost",
    "StaleEffect",
    "WitnessMinorityDown",
    "Flapping",
    "RTOInfeasible",
    "DrillOverdue",
    "ClockDrift",
    "ClockOffset",
    "DeadlineMiss",
    "RejoinBounded",
    "AuditBacklog",
    "FailsafeActive",
}  # fmt: skip - a list


def named(rule: dict[str, Any]) -> str:
    return str(rule["alert"])


def test_the_alerts_are_those_of_the_specification() -> None:
    assert {named(rule).removeprefix("Continuum") for rule in RULES} == WANTED
    assert len(RULES) == len(WANTED)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)", " ", rule["expr"])
    names = set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS - {"and", "abs"}
    assert names
    assert names <= series().keys()
    known = {label for name in names for label in rows()[series()[name]][1]} | {"service", "instance"}
    for group in re.findall(r"by \(([^)]*)\)", rule["expr"]):
        assert {label.strip() for label in group.split(",")} <= known
    for matcher in re.findall(r"\{([^}]*)\}", rule["expr"]):
        assert set(re.findall(r"(\w+)=~?", matcher)) <= known
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")}
    assert shown <= kept, "a label that the query drops is empty in the message"
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in ("page", "warn", "ticket")


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_has_a_page_that_says_what_to_look_at_and_what_to_do(rule: dict[str, Any]) -> None:
    page = Path(rule["annotations"]["runbook"])
    text = page.read_text()
    assert page.parent == PAGES
    assert text.startswith(f"# {named(rule)}\n")
    assert "- **Look**: " in text
    assert "- **Do**: " in text


def test_no_page_is_left_without_its_alert() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == WANTED


def test_conditions_that_alerts_ask_for_exist() -> None:
    asked = set(re.findall(r'condition="(\w+)"', FILE.read_text()))
    assert asked <= {one.type for one in conditions(Facts(EAST), parse(stateful(), House("demo")))}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(FILE)], check=True, capture_output=True)
