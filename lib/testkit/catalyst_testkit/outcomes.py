"""A pytest plugin that writes down what became of each test and of which suites it is: `-p catalyst_testkit.outcomes`."""

import json
from pathlib import Path
from typing import Any

import pytest

_MOST = 300


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", help="File for a list of {test, outcome, why, suites}.")


class Outcomes:
    """Collects, and writes at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict[str, Any]] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read as tests is a failure of its own."""
        if report.failed:
            self._note(report.nodeid, "failed", _why(report), [])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Any:
        report: pytest.TestReport = yield
        suites = [f"{one.__module__}:{one.__name__}" for one in getattr(getattr(item, "cls", None), "__mro__", ())]
        if report.failed:
            self._note(item.nodeid, "failed", _why(report), suites)
        elif report.skipped:
            self._note(item.nodeid, "skipped", _why(report), suites)
        elif report.when == "call":
            self._note(item.nodeid, "passed", "", suites)
        return report

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(list(self._found.values())))

    def _note(self, test: str, outcome: str, why: str, suites: list[str]) -> None:
        if self._found.get(test, {}).get("outcome") != "failed":  # what fails at its end has failed
            self._found[test] = {"test": test, "outcome": outcome, "why": why[:_MOST], "suites": suites}


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--outcomes"):
        config.pluginmanager.register(Outcomes(Path(path)))


def _why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The last thing that was said, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash:
        return " ".join(str(crash.message).split())
    said = [line for line in str(report.longrepr).splitlines() if line.strip()]
    return " ".join((said or [""])[-1].removeprefix("E ").split())
