"""The roadmap names every system that it should."""

import re
from pathlib import Path

ROADMAP = Path(__file__).parents[2] / "docs" / "roadmap.md"


def test_every_row_says_how_far_it_is() -> None:
    tables = ROADMAP.read_text().split("## RPCs")[0]
    rows = [
        line.split("|") for line in tables.splitlines() if line.startswith("| ") and not line.startswith(("| s", "| r"))
    ]
    assert len(rows) > 50
    assert [row[1] for row in rows if not row[3].strip().startswith(("works", "partly", "not yet"))] == []


def test_no_page_has_the_marks_of_a_merge() -> None:
    root = ROADMAP.parents[1]
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    assert len(pages) > 50
    assert [str(page) for page in pages if re.search(r"^(<{7} |>{7} |={7}$)", page.read_text(), re.M)] == []


def test_every_blueprint_that_the_roadmap_names_is_there() -> None:
    cells = re.findall(r"Blueprints? ((?:`[a-z-]+`(?:, )?)+)", ROADMAP.read_text())
    names = [name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)]
    assert len(names) > 25
    assert [name for name in names if not (ROADMAP.parents[1] / "blueprints" / name).is_dir()] == []
