"""Each page that names its proofs names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    "docs/explanation/continuum-proofs.md": ".",
    "docs/explanation/billing-proofs.md": ".",
    "docs/explanation/catalog-proofs.md": ".",
    "docs/explanation/chassis-proofs.md": ".",
    "docs/explanation/journal.md": "lib/mesh/tests/journal",
    "docs/explanation/platform-proofs.md": ".",
    "docs/explanation/pool-domains-proofs.md": ".",
    "docs/explanation/provisioner-proofs.md": ".",
}
"""A page, and the folder whose tests it names as `file.py::test_name`."""


def named(page: str) -> list[tuple[str, str]]:
    found = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / page).read_text())
    return [(file, test) for file, test in found]


def found_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", PAGES)
def test_every_proof_that_a_page_names_is_there(page: str) -> None:
    proofs = named(page)
    assert len(proofs) > 5, "a table without rows proves nothing"
    gone = [f"{file}::{test}" for file, test in proofs if test not in found_in(ROOT / PAGES[page] / file)]
    assert not gone


def test_every_failpoint_is_explained_in_the_words_of_the_code() -> None:
    from catalyst_mesh.failpoints import POINTS

    lines = (ROOT / "tests" / "chaos" / "README.md").read_text().splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| `") and "." in line.split("`")[1]]
    assert {row[1].strip(" `"): row[2].strip() for row in rows} == POINTS
