"""The table of metrics, the dashboard and the registries of the daemons say the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_billing.metrics import BillingMetrics
from catalyst_catalog.metrics import CatalogMetrics
from catalyst_cli.dev.layout import DAEMONS, Layout
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_continuum.workers.witness_metrics import WitnessMetrics
from catalyst_environment.metrics import EnvironmentMetrics
from catalyst_gateway.metrics import GatewayMetrics
from catalyst_mesh import ChassisMetrics
from catalyst_pool_domain_manager.metrics import PdmMetrics
from catalyst_provisioner.metrics import ProvisionerMetrics
from prometheus_client import CollectorRegistry

TABLE = Path("docs/reference/metrics.md")
DASHBOARD = json.loads(Path("deploy/observability/grafana-dashboard.json").read_text())
PROMETHEUS = yaml.safe_load(Path("deploy/observability/prometheus.yaml").read_text())
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
LABELS = {
    "cell", "method", "status", "consumer", "kind", "result", "lease", "plugin", "operation", "error_class", "service", "version",
    "registrar", "code", "pool", "state", "flow", "step", "slot", "authority", "effector", "component",
    "region", "condition", "level",
}  # fmt: skip
"""Small closed sets. A new one is added here by somebody who has asked whether it is one."""
KEPT = ("failover_lease_status", "failover_witness_reachable", "failover_last_failover_time", "cnpg_sync_lag_bytes",
        "cnpg_in_flight_commits")  # fmt: skip
"""Names of the earlier system, that people's own dashboards ask for."""
OFF_THE_DASHBOARD: dict[str, str] = dict.fromkeys(KEPT, "ours ask by the names of this system")
"""Metric, and why nobody needs to look at it."""
WORDS = {"sum", "by", "rate", "increase", "changes", "max", "min", "histogram_quantile", "le", "instance"}
"""Of PromQL, with the labels that Prometheus adds."""


def rows() -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("| `"):
            name, kind, labels, unit, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            assert unit, line
            assert meaning, line
            found[name.strip("`")] = (kind, tuple(re.findall(r"`(\w+)`", labels)))
    return found


def registered(metrics: ChassisMetrics) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What the registry holds, whether or not it has a sample yet."""
    found = {}
    for collector in {id(c): c for c in metrics.registry._names_to_collectors.values()}.values():
        metric: Any = collector
        name = metric._name + ("_total" if metric._type == "counter" else "")
        found[name] = (metric._type, tuple(metric._labelnames))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def series() -> dict[str, str]:
    """Every name that a query may use, with its metric."""
    return {name + suffix: name for name, (kind, _) in rows().items() for suffix in SUFFIXES[kind]}


def used(expression: str) -> set[str]:
    """Names of metrics in an expression: what is left without strings, labels, spans and words of PromQL."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS


def test_every_metric_has_its_row_and_every_row_its_metric() -> None:
    metrics = ChassisMetrics(CollectorRegistry())
    PdmMetrics(metrics.registry)
    ContinuumMetrics(metrics.registry)
    WitnessMetrics(metrics.registry)
    BillingMetrics(metrics.registry)
    CatalogMetrics(metrics.registry)
    ProvisionerMetrics(metrics.registry)
    EnvironmentMetrics(metrics.registry)
    GatewayMetrics(metrics.registry)
    assert rows() == registered(metrics)


def test_labels_are_closed_sets_and_never_names_of_resources_or_people() -> None:
    assert {label for _, labels in rows().values() for label in labels} <= LABELS


def test_names_end_in_their_unit() -> None:
    for name, (kind, _) in rows().items():
        assert name.startswith(("catalyst_", "rpc_")) or name in KEPT
        assert (kind == "counter") == name.endswith("_total")
        assert kind != "histogram" or name.endswith("_seconds")


def test_every_metric_is_on_the_dashboard_or_left_out_with_a_reason() -> None:
    shown = {series().get(name, "") for expression in expressions() for name in used(expression)}
    assert shown | OFF_THE_DASHBOARD.keys() == set(rows())


@pytest.mark.parametrize("expression", expressions())
def test_a_query_uses_metrics_and_labels_that_exist(expression: str) -> None:
    names = used(expression)
    assert names
    assert names <= series().keys()
    known = {label for name in names for label in rows()[series()[name]][1]} | {"le", "service", "instance"}
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= known
    for matcher in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=~?", matcher)) <= known
    assert expression.count("(") == expression.count(")")


def test_the_dashboard_has_what_grafana_asks_for() -> None:
    assert DASHBOARD["id"] is None  # Grafana gives it a number when it is imported
    assert re.fullmatch(r"[\w-]{1,40}", DASHBOARD["uid"])
    assert {"title", "schemaVersion", "version", "time", "templating", "annotations", "panels"} <= DASHBOARD.keys()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
        asked = " ".join(target["expr"] for target in panel["targets"])
        assert set(re.findall(r"\$(\w+)", asked)) <= variables


def test_panels_do_not_lie_on_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


def test_prometheus_scrapes_the_second_port_of_every_daemon_of_a_dev() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    found = {config["labels"]["service"]: config["targets"] for config in job["static_configs"]}
    layout = Layout(Path("."))
    assert found == {daemon: [f"127.0.0.1:{layout.side_port(layout.replicas(daemon)[0])}"] for daemon in DAEMONS}
