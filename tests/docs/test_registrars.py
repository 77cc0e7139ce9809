"""The pages of registrars say what the plugins say of themselves."""

import re
from pathlib import Path

import pytest
from catalyst_sdk import load_manifest
from catalyst_sdk.registrar import RegistrarInfo, registrar_info

PAGES = Path("docs/reference/registrars")
PLUGINS = {
    path.parent.parent.name.removeprefix("registrar_"): registrar_info(load_manifest(path))
    for path in sorted(Path("plugins").glob("registrar_*/catalyst_*/manifest.toml"))
}
COLUMNS = ("set_ns", "set_ds", "glue", "subdomains")
"""Capabilities in the columns of the overview."""


def table(text: str) -> list[list[str]]:
    """Rows of the first table of a text, without its head."""
    lines = [line for line in text.split("\n\n")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_registrar_has_its_page_and_its_row() -> None:
    assert len(PLUGINS) == 6
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == set(PLUGINS)
    rows = table(PAGES.joinpath("README.md").read_text().split("the plugins.\n\n")[1])
    told = {row[0].split("`")[1]: {name for name, cell in zip(COLUMNS, row[1:5], strict=True) if cell} for row in rows}
    assert told == {name: set(info.capabilities) & set(COLUMNS) for name, info in PLUGINS.items()}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_page_names_the_capabilities_and_the_fields_of_the_credential(name: str) -> None:
    info: RegistrarInfo = PLUGINS[name]
    text = (PAGES / f"{name}.md").read_text()
    capabilities = table(text[text.index("| capability |") :])
    assert {row[0].strip("`") for row in capabilities} == info.capabilities
    fields = info.credential_schema.get("properties", {})
    assert "| field | secret |" in text or not fields
    found = (
        {}
        if not fields
        else {
            field: row[1] == "yes"
            for row in table(text[text.index("| field | secret |") :])
            for field in re.findall(r"`(\w+)`", row[0])
        }
    )  # fmt: skip - one mapping
    assert found == {field: bool(rule.get("x-secret")) for field, rule in fields.items()}
    if fields:
        assert str(info.min_ns) in text
        assert str(info.max_ns) in text or "subdomains" in info.capabilities
