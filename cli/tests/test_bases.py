"""Ports of a demonstration: none that the system may give to an outgoing connection between the check and the bind."""

import secrets
from pathlib import Path

import pytest
from catalyst_cli.demo import mesh
from catalyst_cli.dev.layout import REPLICAS, Layout

FIRST_EPHEMERAL = 32768
"""Linux's own default of net.ipv4.ip_local_port_range."""


def test_the_highest_base_keeps_clear_of_outgoing_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda most: most - 1)
    monkeypatch.setattr(mesh, "check", lambda ports: None)
    ports = Layout(Path("/nonexistent"), mesh.free_base(), count=REPLICAS, has_cluster=True).ports()
    assert max(port for _, port in ports) < FIRST_EPHEMERAL
