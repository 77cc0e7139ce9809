"""The roadmap lists the methods that are not served, and no other ones."""

from pathlib import Path

import pytest

from .unserved import DAEMONS, not_served

ROADMAP = Path(__file__).parents[2] / "docs" / "roadmap.md"


def listed(contract: str) -> dict[str, set[str]]:
    rows = [line.split("|") for line in ROADMAP.read_text().splitlines() if line.startswith(f"| `catalyst.{contract}.")]
    return {row[1].strip(" `"): {name.strip() for name in row[2].split(",")} for row in rows}


@pytest.mark.parametrize("contract", DAEMONS)
def test_the_methods_that_are_not_served_are_the_ones_that_the_roadmap_lists(contract: str) -> None:
    assert not_served(contract, DAEMONS[contract]) == listed(contract)
