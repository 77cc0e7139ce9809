"""Kinds that a component uses and nothing before it provides."""

import pytest
from catalyst_provisioner.domain import hidden
from catalyst_provisioner.domain.locks import Component, Lock, Traits
from catalyst_sdk.cloud import Severity

KIND = "postgresql.cnpg.io/Cluster"
LOCK = Lock("", (Component("flux", "1", ""), Component("cnpg", "1", "", ("flux",)), Component("dns", "1", "", ("flux",)),
                 Component("shop", "1", "", ("dns", "cnpg"))))  # fmt: skip


@pytest.mark.parametrize(
    ("user", "provider", "severity"),
    [
        ("shop", "cnpg", None),
        ("shop", "flux", None),
        ("dns", "dns", None),
        ("dns", "cnpg", Severity.WARNING),
        ("flux", "shop", Severity.WARNING),
        ("dns", "nobody", Severity.ERROR),
    ],
)
def test_only_what_is_needed_counts_as_there(user: str, provider: str, severity: Severity | None) -> None:
    traits = {user: Traits(uses=(KIND,))}
    before = traits.get(provider, Traits())
    traits[provider] = Traits(provides=(KIND,), uses=before.uses)
    found = hidden.findings(LOCK, traits)
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(one.metadata["component"] == user and one.metadata["kind"] == KIND for one in found)
