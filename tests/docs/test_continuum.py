"""The page about the resource Continuum: its manifest is one, its rules are those of the code."""

import re
from pathlib import Path

import yaml
from catalyst_cli.commands.continuum import manifests
from catalyst_continuum.domain.approvals import BY_ROLE
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.spec_rules import House

PAGE = Path("docs/reference/continuum.md").read_text()


def test_the_manifest_of_the_page_is_accepted_as_it_stands(tmp_path: Path) -> None:
    (document,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "shop.yaml"
    file.write_text(document)
    (wish,) = manifests.read(file)
    assert wish.name == "namespaces/demo/continuums/shop"
    spec = parse(yaml.safe_load(document)["spec"], House("demo"))
    assert (spec.is_rto_feasible, spec.warnings, len(spec.lease.cells)) == (True, (), 3)


def test_the_page_names_who_approves_where_nobody_is_listed() -> None:
    named = re.findall(r"`([a-z-]+)`", PAGE[PAGE.index("`approval.approvers`") + 20 :].split("approve;")[0])
    assert [f"role:{name}" for name in named] == list(BY_ROLE)
