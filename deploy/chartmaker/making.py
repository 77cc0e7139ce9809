"""What the chart is made of besides its templates, told by the daemons themselves."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from catalyst_kube import KINDS, Kind
from catalyst_kube.schemas import definition

from .alerts import alerts
from .daemons import found, mesh
from .schema import schema

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "catalyst"
BLUEPRINT = ROOT / "lib" / "kube" / "catalyst_kube" / "blueprint.schema.json"
"""The catalogue's schema where the linter finds it, in whatever environment it is."""


def made() -> Mapping[Path, str]:
    """Each file that is made, with its text."""
    daemons = found()
    crds = {CHART / "files" / "crds" / f"{kind.full_name}.yaml": definition_of(kind) for kind in KINDS.values()}
    return crds | {
        BLUEPRINT: (ROOT / "docs" / "reference" / "blueprint.schema.json").read_text(),
        CHART / "files" / "mesh.yaml": mesh(daemons),
        CHART / "files" / "alerts.yaml": alerts(),
        CHART / "values.schema.json": schema(daemons),
    }


def definition_of(kind: Kind) -> str:
    """The file of one definition."""
    return "# Made by script/chart from catalyst_kube.\n" + yaml.safe_dump(definition(kind), sort_keys=False, width=120)
