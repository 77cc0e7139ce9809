"""Who is told of which event: never more than the daemon that owns the thing would let them read."""

import pytest
from catalyst_mesh import Caller
from catalyst_mesh.readers import NOBODY_S, READERS, UNKNOWN, UNLISTED, Reader, TopicDenied, kind_of, whose

ORDER = "catalyst.v1.billing.order.paid"
ZONE = "catalyst.v1.pooldomain.zone.created"
VERSION = "catalyst.v1.catalog.version.published"
RUNTIME = "ws.acme-prod.k8s.deployment.blog.blog"


def member(role: str, org: str = "acme") -> Reader:
    return Reader.of(Caller("somebody", groups=frozenset({f"/{org}/{role}"})))


def sovereign(*roles: str) -> Reader:
    return Reader.of(Caller("somebody", roles=frozenset(roles)))


def test_a_member_hears_of_the_own_organization_and_of_no_other() -> None:
    viewer = member("org-viewer")
    assert viewer.may_hear(ZONE, "acme")
    assert not viewer.may_hear(ZONE, "rival")
    assert not viewer.may_hear(ORDER, "acme")
    assert member("org-admin").may_hear(ORDER, "acme")


def test_what_is_open_to_all_is_told_unless_it_is_an_organization_s_own() -> None:
    stranger = sovereign()
    assert stranger.may_hear(VERSION, NOBODY_S)
    assert not stranger.may_hear(VERSION, "acme")
    assert member("org-viewer").may_hear(VERSION, "acme")
    assert not sovereign("sovereign-admin").may_hear(VERSION, "acme")


def test_of_what_stands_in_no_list_only_its_curators_hear_and_of_nothing_more_by_that() -> None:
    for stranger in (sovereign(), member("org-admin"), sovereign("security-officer", "billing-admin")):
        assert not stranger.may_hear(VERSION, UNLISTED)
    curator = sovereign("sovereign-admin")
    assert curator.may_hear(VERSION, UNLISTED)
    assert not curator.may_hear(ORDER, UNLISTED)
    assert UNLISTED in curator.by_organization()


def test_of_whom_it_is_not_known_only_the_sovereign_s_own_roles_hear() -> None:
    assert not member("org-admin").may_hear(ZONE, UNKNOWN)
    assert not member("org-admin", UNKNOWN).may_hear("catalyst.v1.unheard.of.made", UNKNOWN)
    assert sovereign("sovereign-admin").may_hear(ZONE, UNKNOWN)


def test_of_events_that_stand_in_no_table_nobody_hears() -> None:
    roles = frozenset({"sovereign-admin", "billing-admin", "security-officer"})
    everything = Reader.of(Caller("root", roles=roles, groups=frozenset({"/acme/org-admin"})))
    for subject in ("catalyst.v1.unheard.of.made", "catalyst.v1.billing", "catalyst.v1.billing.order", "", "x.y.z"):
        assert not everything.may_hear(subject, "acme")
        assert not everything.may_hear(subject, NOBODY_S)


def test_a_group_that_is_named_like_a_role_over_the_sovereign_gives_none() -> None:
    sly = Reader.of(Caller("sly", groups=frozenset({"/acme/sovereign-admin", "/acme/billing-admin"})))
    assert not any(sly.may_hear(f"catalyst.v1.{kind}.done", "acme") for kind in READERS if kind[:7] != "catalog")


def test_what_goes_on_in_an_environment_is_its_organization_s_alone() -> None:
    assert member("org-viewer").may_hear(RUNTIME, "acme")
    assert not sovereign("sovereign-admin").may_hear(RUNTIME, "acme")
    member("org-viewer").demand("ws.acme-prod.,catalyst.v1.")
    for strange in ("ws.rival-prod.", "catalyst.v1., ws.rival-dev.k8s"):
        with pytest.raises(TopicDenied):
            member("org-viewer").demand(strange)


@pytest.mark.parametrize(
    ("subject", "aggregate", "body", "owner"),
    [
        (ORDER, "billingAccounts/acme/orders/1", {}, "acme"),
        (ORDER, "orders/1", {"org": "organizations/acme"}, "acme"),
        (ZONE, "zones/a.example", {"owner": "organizations/acme"}, "acme"),
        ("catalyst.v1.provisioner.sovereign.created", "sovereigns/home", {"organization": "acme"}, "acme"),
        (ZONE, "zones/a.example", {"owner": "sovereigns/home"}, UNKNOWN),
        (VERSION, "blueprints/bp-a/versions/1.0.0", {}, NOBODY_S),
        (VERSION, "blueprints/bp-a/versions/1.0.0", {"ownerOrg": "organizations/acme"}, "acme"),
        (VERSION, "organizations/acme/blueprints/bp-a/versions/1.0.0", {}, "acme"),
        (VERSION, "blueprints/bp-a/versions/1.0.0", {"visibility": "VISIBILITY_LISTED"}, NOBODY_S),
        (VERSION, "blueprints/bp-a/versions/1.0.0", {"visibility": "VISIBILITY_UNLISTED"}, UNLISTED),
        (ORDER, "billingAccounts/acme/orders/1", {"visibility": "VISIBILITY_UNLISTED"}, "acme"),
        ("catalyst.v1.continuum.lease.lost", "namespaces/acme/continuums/db", {}, "acme"),
        ("catalyst.v1.pooldomain.pool.created", "pools/omani.works", {}, NOBODY_S),
        ("catalyst.v1.provisioner.sovereign.created", "sovereigns/home", {"organization": 7}, UNKNOWN),
        ("catalyst.v1.unheard.of.made", "things/1", {}, UNKNOWN),
        (RUNTIME, "uid", {"organization": "organizations/rival"}, "acme"),
        ("ws.my-org-uat.git.abc", "uid", {}, "my-org"),
        ("ws.prod.git.abc", "uid", {}, UNKNOWN),
    ],
)  # fmt: skip
def test_whose_an_event_is_is_read_from_what_it_says(
    subject: str, aggregate: str, body: dict[str, object], owner: str
) -> None:
    assert whose(subject, aggregate, body) == owner


def test_the_kind_of_a_thing_is_two_words_of_its_subject() -> None:
    assert [kind_of(s) for s in (ORDER, RUNTIME, "catalyst.v1.billing", "nats.v1.a.b.c")] == [
        "billing.order",
        "ws",
        "",
        "",
    ]
