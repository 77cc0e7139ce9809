"""The words of the registrar contract."""

import pytest
from catalyst_sdk import Permanent
from catalyst_sdk.registrar import Delegation, DsRecord, Glue, Target, delegation_target

DS = DsRecord(1, 13, 2, "ab")


def test_name_servers_are_trimmed_lowered_and_named_once_in_their_order() -> None:
    target = delegation_target("example.test", [" NS2.host.example. ", "", "ns1.host.example", "ns2.host.example"])
    assert target.ns == ("ns2.host.example.", "ns1.host.example.")


@pytest.mark.parametrize(
    "bad", ["192.0.2.1", "-a.example", "a..b", "a b.example", "2001:db8::1", "x" * 64 + ".example"]
)
def test_what_is_no_host_name_is_refused_with_the_name(bad: str) -> None:
    with pytest.raises(Permanent) as refused:
        delegation_target("example.test", ["ns1.host.example", bad])
    assert (refused.value.reason, refused.value.metadata["host"]) == ("NAMESERVER_REJECTED", bad)


@pytest.mark.parametrize("ns", [[], ["ns1.host.example"], ["a.example", "A.example."]])
def test_fewer_than_two_name_servers_are_refused(ns: list[str]) -> None:
    with pytest.raises(Permanent, match="2 to 13 are needed"):
        delegation_target("example.test", ns)


def test_a_server_within_the_domain_needs_glue() -> None:
    hosts = ["ns1.example.test", "ns2.host.example"]
    with pytest.raises(Permanent) as refused:
        delegation_target("example.test", hosts)
    assert refused.value.reason == "GLUE_REQUIRED"
    glue = [Glue("NS1.example.test", ("192.0.2.1",)), Glue("unused.example.test", ("192.0.2.2",))]
    assert delegation_target("example.test", hosts, glue=glue).glue == (Glue("ns1.example.test.", ("192.0.2.1",)),)


def test_a_delegation_shows_a_target_whatever_the_order_and_only_if_all_servers_agree() -> None:
    target = Target(("a.", "b."), (DS,))
    assert Delegation(("b.", "a."), (DS,)).shows(target)
    assert not Delegation(("a.", "b."), (DS,), consistent=False).shows(target)
    assert not Delegation(("a.", "b.")).shows(target)
    assert not Delegation(("a.", "b.", "c."), (DS,)).shows(target)
    assert not Delegation(("a.", "b."), (DS,)).shows(Target(("a.", "b."), (DS,), (Glue("a.", ("192.0.2.1",)),)))


def test_the_etag_knows_content_and_not_order() -> None:
    assert Delegation(("a.", "b.")).etag == Delegation(("b.", "a.")).etag
    assert Delegation(("a.", "b.")).etag != Delegation(("a.", "b."), (DS,)).etag
