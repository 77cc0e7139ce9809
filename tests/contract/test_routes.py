"""REST has every method that people need; those that have no route say why."""

from catalyst_gateway.app import services
from google.api import annotations_pb2

WITHOUT = {
    "catalyst.provisioner.v1.AgentService": "agents of clusters speak gRPC: they enroll, renew and hold one stream both ways",
    "catalyst.provisioner.v1.WorkloadService": "one daemon tells another what is to run; people ask for their Applications",
    "catalyst.continuum.v1.ContinuumPeerService": "agents of regions speak gRPC to each other; no person relays a swap",
}
"""Services that have no route, and the reason."""


def test_every_method_has_a_route_unless_its_service_is_for_no_person() -> None:
    plain = [
        (s.full_name, m) for s in services() for m in s.methods if not m.GetOptions().HasExtension(annotations_pb2.http)
    ]
    assert {name for name, _ in plain} == set(WITHOUT)
    for service in services():
        if service.full_name in WITHOUT:
            assert [m.name for m in service.methods if m.GetOptions().HasExtension(annotations_pb2.http)] == []
