"""Who has called whom while a dev ran, as the daemons count it: of the same calls of which they make spans."""

import httpx
from catalyst_cli.dev.layout import Layout
from chartmaker.daemons import TARGETS, found
from prometheus_client.parser import text_string_to_metric_families

from .devs import Dev

COUNTED = "rpc_client_call_duration_seconds_count"


def called(dev: Dev) -> set[tuple[str, str]]:
    """(caller, callee), by their folders; of calls of the chassis' own services nobody can tell whose they were."""
    owners = {f"catalyst.{daemon.contract}.v1": daemon.folder for daemon in found()}
    layout, seen = Layout(dev.folder, dev.base), set()
    for replica in layout.all_replicas():
        text = httpx.get(f"http://127.0.0.1:{layout.side_port(replica)}/metrics").text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        packages = {one.labels["method"].rsplit(".", 1)[0] for one in samples if one.name == COUNTED and one.value}
        seen |= {(TARGETS.get(replica.daemon, replica.daemon), owners[each]) for each in packages & owners.keys()}
    return seen


def allowed() -> set[tuple[str, str]]:
    """The edges of the mesh, of which the chart makes its network policies."""
    return {(daemon.folder, peer) for daemon in found() for peer in daemon.peers.values()}


SELDOM = {
    ("continuum", "provisioner"): "services/continuum/tests/test_gaps.py",  # asked where events of it are missing
    (
        "continuum",
        "pool_domain_manager",
    ): "services/continuum/tests/test_traffic.py",  # by a region whose names PDM alone writes
}
"""Edges that one Sovereign's life does not need, each with the tests of who calls there."""
