"""Alerts: each asks for metrics that exist, and has a page that says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Facts, conditions

from services.continuum.tests.manifests import EAST, stateful
from tests.docs.test_metrics import WORDS, rows, series

FILES = sorted(Path("deploy/observability").glob("*-alerts.yaml"))
RUNBOOKS = Path("docs/runbooks")
RULES: dict[str, list[dict[str, Any]]] = {
    group["name"]: group["rules"] for file in FILES for group in yaml.safe_load(file.read_text())["groups"]
}
ALL = [pytest.param(owner, rule, id=rule["alert"]) for owner, rules in RULES.items() for rule in rules]
"""Owner, whose name begins that of the alert and of its folder, and the rule."""
OF_CONTINUUM = {
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


def titles(owner: str) -> set[str]:
    """Names of the alerts of an owner, without its own."""
    return {str(rule["alert"]).removeprefix(owner.title()) for rule in RULES[owner]}


def test_the_alerts_of_continuum_are_those_of_its_specification() -> None:
    assert titles("continuum") == OF_CONTINUUM
    assert len(RULES["continuum"]) == len(OF_CONTINUUM)


@pytest.mark.parametrize(("owner", "rule"), ALL)
def test_an_alert_asks_for_metrics_and_labels_that_exist(owner: str, rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith(owner.title())
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)", " ", rule["expr"])
    names = set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS - {"and", "abs"}
    assert names
    assert names <= series().keys()
    known = {label for name in names for label in rows()[series()[name]][1]} | {"le", "service", "instance"}
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


@pytest.mark.parametrize(("owner", "rule"), ALL)
def test_an_alert_has_a_page_that_says_what_to_look_at_and_what_to_do(owner: str, rule: dict[str, Any]) -> None:
    page = Path(rule["annotations"]["runbook"])
    text = page.read_text()
    assert page.parent == RUNBOOKS / owner
    assert text.startswith(f"# {rule['alert']}\n")
    assert "- **Look**: " in text
    assert "- **Do**: " in text


@pytest.mark.parametrize("owner", RULES)
def test_no_page_is_left_without_its_alert(owner: str) -> None:
    assert {page.stem for page in (RUNBOOKS / owner).glob("*.md")} == titles(owner)


def test_conditions_that_alerts_ask_for_exist() -> None:
    asked = set(re.findall(r'condition="(\w+)"', Path("deploy/observability/continuum-alerts.yaml").read_text()))
    assert asked <= {one.type for one in conditions(Facts(EAST), parse(stateful(), House("demo")))}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", *map(str, FILES)], check=True, capture_output=True)
