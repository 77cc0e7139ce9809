"""What an installation would do: named, ordered, placed, met by what stands; and the same again for the same wish."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from catalyst_catalog.domain import install_plans, locks, solver
from catalyst_catalog.domain.install_plans import InstallPlan, Standing, Wish
from catalyst_catalog.domain.provider import Policy, Root
from catalyst_catalog.domain.refusals import (
    ApplicationExists,
    ChoiceUnavailable,
    ConfigInvalid,
    PlacementInvalid,
    PlacementUnsupported,
    SingleInstance,
)
from catalyst_catalog.domain.universe import Release, State, Universe
from catalyst_sdk import Refused

from .makers import needs, one

MULTI = {"multiInstance": {"enabled": True, "maxPerOrg": 9, "isolation": "namespace"}}
WIDE = {"modes": ["single-region", "active-active"], "default": "single-region", "minRegions": 1, "maxRegions": 3}
SHOP = one("bp-shop", depends=needs(db="^1", mail="*", cilium="*"), **MULTI)
DB, MAIL = one("bp-db", "1.2.0", **MULTI), one("bp-mail")
CILIUM = one("bp-cilium", layer="host-infra")
WISH = Wish("bp-shop", "environments/acme-prod")


def planned(wish: Wish = WISH, *standing: Standing, of: Sequence[Release] = (SHOP, DB, MAIL, CILIUM)) -> InstallPlan:
    universe = Universe(of)
    versions = {one.blueprint: one.version for one in standing}
    policy = Policy(installed=versions, locked=frozenset(versions))
    lock = locks.lock(solver.solve(universe, [Root(wish.blueprint, "*", wish.config)], policy), policy, 1)
    return install_plans.plan(universe, wish, lock, standing)


def test_every_application_of_the_tree_is_planned_in_the_order_of_its_installation() -> None:
    plan = planned()
    assert [one.name for one in plan.applications] == ["shop-db", "shop-mail", "shop"]
    assert [one.alias for one in plan.applications] == ["db", "mail", ""]
    assert plan.applications[-1].after == ("shop-db", "shop-mail")
    assert [(n.reason, n.subject) for n in plan.warnings] == [("SOVEREIGN_COMPONENT", "blueprints/bp-cilium")]
    path, text = plan.files[-1]
    assert path == "environments/acme-prod/applications/shop/release.yaml"
    source, release = [json.loads(document) for document in text.split("---\n")[1:]]
    assert (source["kind"], release["spec"]["chartRef"]["name"]) == ("OCIRepository", "shop")
    assert release["spec"]["dependsOn"] == [{"name": "shop-db"}, {"name": "shop-mail"}]
    assert release["metadata"]["annotations"]["catalyst.openova.io/digest"] == SHOP.digest


def test_equal_wishes_give_equal_plans_and_what_others_publish_changes_none() -> None:
    first = planned()
    assert planned() == first
    assert planned(of=(CILIUM, one("bp-other"), MAIL, DB, SHOP)).digest == first.digest
    newer = planned(of=(SHOP, DB, one("bp-db", "1.3.0", **MULTI), MAIL, CILIUM))
    assert newer.digest != first.digest


def test_what_stands_is_used_where_there_can_be_one_and_asked_about_where_there_can_be_more() -> None:
    plan = planned(WISH, Standing("mail", "bp-mail", "1.0.0"), Standing("main-db", "bp-db", "1.2.0"))
    assert [(link.alias, link.application, link.secret) for link in plan.links] == [
        ("mail", "mail", "shop-mail-connection")
    ]
    assert {one.alias: (one.chosen, one.candidates) for one in plan.open_choices} == {
        "db": ("dedicated", ("main-db",)),
        "mail": ("reuse:mail", ("mail",)),
    }  # fmt: skip - reads as a table
    chosen = planned(
        Wish("bp-shop", WISH.environment, choices={"db": "reuse:main-db"}),
        Standing("mail", "bp-mail", "1.0.0"),
        Standing("main-db", "bp-db", "1.2.0"),
    )  # fmt: skip - one call
    assert [one.name for one in chosen.applications] == ["shop"]
    assert chosen.applications[0].after == ("mail", "main-db")
    assert [one.alias for one in chosen.open_choices] == ["mail"]


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ({"db": "reuse:other"}, "no Application of bp-db is called so"),
        ({"cache": "dedicated"}, "nothing is needed as that"),
        ({"mail": "dedicated"}, "there can be one, and mail stands"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choices: dict[str, str], why: str) -> None:
    with pytest.raises(ChoiceUnavailable, match=why):
        planned(Wish("bp-shop", WISH.environment, choices=choices), Standing("mail", "bp-mail", "1.0.0"))


def test_names_that_are_taken_are_numbered_or_refused() -> None:
    taken = [Standing("shop", "bp-shop", "1.0.0"), Standing("shop-2-db", "bp-db", "1.2.0")]
    plan = planned(WISH, *taken)
    assert [one.name for one in plan.applications] == ["shop-2-db-2", "shop-2-mail", "shop-2"]
    with pytest.raises(ApplicationExists, match="environments/acme-prod has an Application shop"):
        planned(Wish("bp-shop", WISH.environment, application="shop"), *taken)


def test_of_a_blueprint_that_comes_once_there_is_one() -> None:
    with pytest.raises(SingleInstance, match="which is post"):
        planned(Wish("bp-mail", WISH.environment), Standing("post", "bp-mail", "1.0.0"))


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"mode": "active-active", "regions": ("east",)}, PlacementInvalid),
        ({"mode": "active-hotstandby", "regions": ("east", "west")}, PlacementInvalid),
        ({"regions": ("a", "b", "c", "d")}, PlacementInvalid),
        ({"mode": "active-active", "regions": ("east", "west")}, PlacementUnsupported),
    ],
)
def test_a_placement_fits_the_blueprint_and_all_that_it_needs(wish: dict[str, Any], refusal: type[Refused]) -> None:
    wide = one("bp-shop", depends=needs(db="^1"), placementSchema=WIDE, **MULTI)
    with pytest.raises(refusal):
        planned(Wish("bp-shop", WISH.environment, **wish), of=(wide, DB))


def test_a_dependency_stretches_as_its_parent_does() -> None:
    wide = one("bp-shop", depends=needs(db="^1"), placementSchema=WIDE, **MULTI)
    db = one("bp-db", "1.2.0", placementSchema=WIDE, **MULTI)
    plan = planned(Wish("bp-shop", WISH.environment, mode="active-active", regions=("east", "west")), of=(wide, db))
    assert {(one.placed.mode, one.placed.regions) for one in plan.applications} == {("active-active", ("east", "west"))}


def test_the_configuration_is_whole_and_a_wrong_one_is_refused() -> None:
    schema = {"type": "object", "properties": {"size": {"type": "integer", "default": 3, "maximum": 9}}}
    shop = one("bp-shop", configSchema=schema)
    assert planned(of=(shop,)).config == {"size": 3}
    with pytest.raises(ConfigInvalid):
        planned(Wish("bp-shop", WISH.environment, config={"size": 10}), of=(shop,))
    demanding = one(
        "bp-mail", configSchema={"type": "object", "required": ["host"], "properties": {"host": {"type": "string"}}}
    )
    plan = planned(of=(SHOP, DB, demanding, CILIUM))
    assert ("CONFIG_INCOMPLETE", "bp-mail needs /host, which nothing says") in {
        (n.reason, n.message) for n in plan.warnings
    }


def test_a_deprecated_version_is_planned_with_a_warning() -> None:
    plan = planned(of=(SHOP, DB, one("bp-mail", state=State.DEPRECATED), CILIUM))
    assert "DEPRECATED" in {notice.reason for notice in plan.warnings}
