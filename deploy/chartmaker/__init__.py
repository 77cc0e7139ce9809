"""What the chart is made of besides its templates, told by the daemons themselves."""

from collections.abc import Mapping
from pathlib import Path

from .alerts import alerts
from .daemons import found, mesh
from .schema import schema

CHART = Path(__file__).parents[1] / "helm" / "catalyst"


def made() -> Mapping[Path, str]:
    """Each file that is made, with its text."""
    daemons = found()
    return {
        CHART / "files" / "mesh.yaml": mesh(daemons),
        CHART / "files" / "alerts.yaml": alerts(),
        CHART / "values.schema.json": schema(daemons),
    }
