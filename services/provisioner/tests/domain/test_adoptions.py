"""Adoption, decided without a cloud."""

from catalyst_provisioner.domain import adoptions
from catalyst_provisioner.domain.naming import UID_LABEL
from catalyst_sdk.cloud import Action, Adopted, Change, ClusterRequest, Discovered, InfraPlan, NodePool

REQUEST = ClusterRequest("sovereigns/a", "a.example", "sb-east", "abc", "east", {}, NodePool("cp", "sb8", 1))


def change(address: str, kind: str = "server", action: Action = Action.CREATE) -> Change:
    return Change(action, kind, f"our-{address}", address, "east")


def there(name: str, kind: str = "server", region: str = "east", **labels: str) -> Discovered:
    return Discovered(kind, name, f"id-{name}", region, labels)


def test_each_resource_goes_to_one_address_of_its_kind_and_region_in_the_order_of_names() -> None:
    changes = [change("net", "network"), change("s1"), change("s2"), change("s3", action=Action.NO_OP)]
    found = [there("b"), there("a"), there("c"), there("d", region="west"), there("n", "network")]
    given = adoptions.assign(changes, found)
    names = {address: one.name for address, one in given.adopted.items()}
    assert names == {"net": "n", "s1": "a", "s2": "b"}
    assert {r.name for r in given.unmatched} == {"c", "d"}


def test_a_plan_that_would_replace_or_delete_is_no_adoption() -> None:
    plan = InfraPlan(REQUEST, (change("s1", action=Action.REPLACE), change("s2", action=Action.DELETE)))
    found = adoptions.findings(adoptions.Given({"s1": Adopted("a", "id-a")}), plan, ())
    assert [f.code for f in found] == ["adopt.replace", "adopt.replace"]


def test_what_is_another_sovereigns_is_not_taken() -> None:
    mine, other, nobodys = there("a", **{UID_LABEL: "me"}), there("b", **{UID_LABEL: "you"}), there("c")
    assert adoptions.foreign([mine, other, nobodys], "me") == [other]
    assert [f.code for f in adoptions.findings(adoptions.Given(), InfraPlan(REQUEST, ()), [other])] == ["adopt.foreign"]


def test_a_server_that_we_did_not_boot_is_named() -> None:
    given = adoptions.Given({"s1": Adopted("a", "id-a"), "net": Adopted("n", "id-n")})
    found = adoptions.unmanned(given, [change("s1"), change("s2"), change("net", "network")])
    assert [(f.code, f.path) for f in found] == [("adopt.unmanned", "s1")]


def test_nothing_found_is_said() -> None:
    assert [f.code for f in adoptions.findings(adoptions.Given(), InfraPlan(REQUEST, ()), ())] == ["adopt.nothing"]
