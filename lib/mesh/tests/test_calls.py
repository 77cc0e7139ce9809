"""Callers, the table of who may call what, and traces."""

import pytest
from catalyst_mesh import PUBLIC, SIGNED_IN, Caller, caller, current, rows
from catalyst_mesh.access import Access, ActingDenied, CallDenied
from catalyst_mesh.calls import ANONYMOUS, Call, RoleDenied, enter, members_of, new_traceparent

ADA = Caller("ada", groups=frozenset({"/acme/org-admin", "/globex/org-viewer"}))
ROOT = Caller("root", roles=frozenset({"sovereign-admin"}))
PEER = Caller("peer", service="provisioner")
NAMED = Caller("peer", service="provisioner", everywhere=True)
TABLE = Access(
    rows(
        "a.v1.S",
        Open=PUBLIC,
        Any=SIGNED_IN,
        Admin="sovereign-admin",
        Org="org-admin",
        Peer="service:provisioner",
        Both="org-admin service:provisioner",
        Own="sovereign-admin own:provisioner",
    )  # fmt: skip - reads as a table
)


def may(who: Caller, method: str, person: Caller | None = None) -> bool:
    try:
        TABLE.admit(who, f"/a.v1.S/{method}", person)
    except (CallDenied, ActingDenied):
        return False
    return True


@pytest.mark.parametrize(
    ("method", "allowed"),
    [("Open", "ada root peer anonymous"), ("Any", "ada root peer anonymous"), ("Admin", "root"), ("Org", "ada"),
     ("Peer", "peer"), ("Both", "ada peer"), ("Own", "root peer"), ("Unknown", ""), ("", "")],
)  # fmt: skip
def test_a_row_lets_in_whom_it_names(method: str, allowed: str) -> None:
    # Without a token nobody comes as far as the table, unless the row is public (test_daemon).
    assert [who.subject for who in (ADA, ROOT, PEER, ANONYMOUS) if may(who, method)] == allowed.split()


def test_only_a_public_row_needs_no_token() -> None:
    assert TABLE.is_public("/a.v1.S/Open")
    assert TABLE.is_public("/grpc.health.v1.Health/Check")
    assert not any(TABLE.is_public(f"/a.v1.S/{method}") for method in ("Any", "Admin", "Unknown"))
    assert not TABLE.is_public("/grpc.health.v1.HealthX/Check")


@pytest.mark.parametrize("group", ["/acme/sovereign-admin", "/acme/service:provisioner"])
def test_a_group_gives_no_role_over_the_sovereign_and_makes_nobody_a_daemon(group: str) -> None:
    sly = Caller("sly", groups=frozenset({group}))
    assert not any(may(sly, method) for method in ("Admin", "Org", "Peer"))


def test_a_role_named_like_a_daemon_makes_nobody_a_daemon() -> None:
    assert not may(Caller("sly", roles=frozenset({"service:provisioner"})), "Peer")


@pytest.mark.parametrize("group", ["acme/org-admin", "/acme", "/acme/dev/org-admin", "org-admin", "", "/", "//"])
def test_a_group_of_another_shape_gives_nothing(group: str) -> None:
    odd = Caller("odd", groups=frozenset({group}))
    assert not may(odd, "Org")
    assert not odd.has_role("org-admin", org="acme")


def test_a_role_counts_in_its_own_organization_only() -> None:
    assert ADA.organizations == {"acme", "globex"}
    assert ADA.has_role("org-admin", org="acme")
    assert not ADA.has_role("org-admin", org="globex")
    assert not ADA.has_role("org-admin")
    assert ROOT.has_role("org-admin", "sovereign-admin", org="acme")
    assert members_of(ADA.groups, "acme") == ["org-admin"]


def test_who_is_required_to_hold_a_role_is_named_in_the_refusal() -> None:
    ADA.require("org-admin", org="acme")
    NAMED.require("org-admin", org="acme")
    with pytest.raises(RoleDenied):
        PEER.require("org-admin", org="acme")
    with pytest.raises(RoleDenied) as caught:
        ADA.require("org-admin", org="globex")
    assert caught.value.metadata == {"subject": "ada", "resource": "organizations/globex"}


def test_a_daemon_is_known_by_its_name() -> None:
    assert NAMED.is_service()
    assert NAMED.is_service("billing", "provisioner")
    assert not NAMED.is_service("billing")
    assert not ADA.is_service()


@pytest.mark.parametrize(("method", "everywhere"), [("Peer", True), ("Own", True), ("Any", False), ("Open", False)])
def test_a_daemon_counts_for_every_organization_only_where_the_row_names_it(method: str, everywhere: bool) -> None:
    assert TABLE.admit(PEER, f"/a.v1.S/{method}").everywhere is everywhere


def test_a_daemon_that_serves_a_person_may_do_what_both_may() -> None:
    seen = TABLE.admit(PEER, "/a.v1.S/Both", ADA)
    assert (seen.subject, seen.via, seen.is_service(), seen.has_role("org-admin", org="globex")) == (
        "ada", "provisioner", False, False
    )  # fmt: skip
    other = Caller("peer", service="billing")
    assert [may(who, "Both", person) for who, person in ((PEER, ADA), (PEER, ROOT), (other, ADA))] == [
        True, False, False
    ]  # fmt: skip
    assert not may(PEER, "Peer", ROOT)


def test_a_question_of_its_own_is_asked_in_its_own_right() -> None:
    assert TABLE.admit(PEER, "/a.v1.S/Own", ADA) == NAMED
    assert not may(Caller("peer", service="billing"), "Own", ROOT)


@pytest.mark.parametrize(
    ("asks", "person"), [(ADA, ROOT), (ANONYMOUS, ROOT), (PEER, PEER), (PEER, ANONYMOUS),
                         (PEER, Caller("agent:1", roles=frozenset({"agent"})))],
)  # fmt: skip
@pytest.mark.parametrize("method", ["Open", "Any", "Both", "Own"])
def test_only_a_daemon_acts_for_somebody_and_only_for_a_person(asks: Caller, person: Caller, method: str) -> None:
    assert not may(asks, method, person)


async def test_the_current_call_belongs_to_its_task() -> None:
    import asyncio

    async def served(who: Caller) -> str:
        enter(Call(caller=who))
        await asyncio.sleep(0)
        return caller().subject

    assert list(await asyncio.gather(served(ADA), served(ROOT))) == ["ada", "root"]
    assert current().caller is ANONYMOUS


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_goes_on_under_a_new_span() -> None:
    below = new_traceparent(PARENT)
    assert Call(traceparent=below).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert below != PARENT


@pytest.mark.parametrize(
    "parent", ["", "rubbish", "00-short-1-01", PARENT.upper(), "00-" + "z" * 32 + "-1-01", "-" * 9]
)
def test_rubbish_begins_a_new_trace(parent: str) -> None:
    trace = Call(traceparent=new_traceparent(parent)).trace_id
    assert len(trace) == 32
    assert trace not in parent
