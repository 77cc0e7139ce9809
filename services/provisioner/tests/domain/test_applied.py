"""To what a cancelled change goes back."""

from catalyst_provisioner.domain import applied
from catalyst_provisioner.domain.applied import Applied, Wished
from catalyst_provisioner.domain.locks import Component, Lock

EAST, WEST = "sb-east-mgt-dev", "sb-west-mgt-dev"
BEFORE = Applied(
    "plan-1", "aa", {"clusters": [{"region": "east"}, {"region": "west"}]},
    (Wished(EAST, "sandbox", "east", "credentials/c", {"nodes": 2}), Wished(WEST, "sandbox", "west", "credentials/c", {})),
    Lock("sha256:0", (Component("bp-flux", "1.0.0", "sha256:1", ("bp-cilium",)),)),
)  # fmt: skip


def test_what_was_kept_is_read_as_it_was() -> None:
    assert applied.read(BEFORE.plain()) == BEFORE


def test_a_k3s_that_may_have_risen_stays_and_only_in_its_cluster() -> None:
    found = applied.risen(BEFORE, [{"name": EAST, "k3s": ""}, {"name": WEST, "k3s": "v1.32.1+k3s1"}, {"name": "new"}])
    assert found.spec["clusters"] == [{"region": "east"}, {"region": "west", "k3s_version": "v1.32.1+k3s1"}]
    assert BEFORE.spec["clusters"][1] == {"region": "west"}


def test_a_cluster_that_has_left_is_not_gone_back_to() -> None:
    found = applied.without(BEFORE, [WEST, "another"])
    assert (found.names, found.spec["clusters"]) == ((WEST,), [{"region": "west"}])
