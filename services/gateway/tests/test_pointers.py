"""A violation over HTTP says where in the body it stands, whatever part of the request the body is."""

import pytest
from catalyst_gateway.app import services
from catalyst_gateway.pointers import pointer
from catalyst_gateway.routes import Routes

ROUTES = Routes(services())


@pytest.mark.parametrize(
    ("verb", "path", "field", "there"),
    [
        ("PATCH", "/v1/pools/omani.works", "pool.name_server_set", "#/nameServerSet"),
        ("PATCH", "/v1/pools/omani.works", "pool.policy.reserved_labels[2]", "#/policy/reservedLabels/2"),
        ("PATCH", "/v1/pools/omani.works", "update_mask", ""),
        (
            "POST",
            "/v1/sovereigns",
            "sovereign.spec.clusters[0].control_plane.count",
            "#/spec/clusters/0/controlPlane/count",
        ),
        ("POST", "/v1/sovereigns", "sovereign.spec.nothing", ""),
        ("POST", "/v1/sovereigns", "sovereign.spec.clusters.region", ""),  # which of them nobody says
        ("POST", "/v1/sovereigns", "/smtp/port", ""),
        ("POST", "/v1/catalog:validate", "config.smtp_host", "#/config/smtp_host"),
        ("POST", "/v1/catalog:validate", 'config["a/b~c"]', "#/config/a~1b~0c"),
        ("POST", "/v1/organizations/acme:leave", "name", ""),
        ("GET", "/v1/pools", "page_size", ""),
    ],
)
def test_a_field_of_the_contract_is_found_in_the_body(verb: str, path: str, field: str, there: str) -> None:
    found = ROUTES.find(verb, path)
    assert found is not None
    assert pointer(found[0], field) == there
