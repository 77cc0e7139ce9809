"""The alert rules of all daemons in one file, as PrometheusRule wants them."""

from pathlib import Path

import yaml

RULES = Path(__file__).parents[1] / "observability"


def alerts() -> str:
    """The groups of every `*-alerts.yaml`."""
    groups = [
        group for path in sorted(RULES.glob("*-alerts.yaml")) for group in yaml.safe_load(path.read_text())["groups"]
    ]
    return "# Made by script/chart from deploy/observability.\n" + yaml.safe_dump(
        {"groups": groups}, sort_keys=False, width=120
    )
