"""Who makes a cluster and who may join it, decided without one."""

from dataclasses import replace

import pytest
from catalyst_provisioner.domain.joins import ROLE_LABEL, Join, JoinNotYet, Part, Quorum, begins_anew, drawn, part
from catalyst_sdk.cloud import Action, Change, LedgerRow

KNOWN = "ab" * 32


def test_the_first_control_plane_makes_the_cluster_and_a_worker_waits_for_it() -> None:
    assert part(Quorum(is_begun=False), is_worker=False) is Part.INIT
    with pytest.raises(JoinNotYet, match="no server has made"):
        part(Quorum(is_begun=False), is_worker=True)


SERVERS = [{"name": "cp1", "role": "control_plane"}, {"name": "w1", "role": "worker"}]


def made(action: Action, *names: str) -> list[Change]:
    return [Change(action, "server", name, f"server.{name}", "east") for name in names]


def test_a_cluster_begins_anew_when_no_server_of_its_control_plane_stays() -> None:
    assert begins_anew(SERVERS, [], made(Action.CREATE, "cp1"))
    assert begins_anew(SERVERS, [], made(Action.REPLACE, "cp1", "w1"))
    assert not begins_anew(SERVERS, [], made(Action.NO_OP, "cp1") + made(Action.CREATE, "w1"))
    three = [*SERVERS, {"name": "cp2", "role": "control_plane"}]
    assert not begins_anew(three, [], made(Action.CREATE, "cp2") + made(Action.NO_OP, "cp1"))
    ledger = [LedgerRow("server", "cp1", "east", {ROLE_LABEL: "control-plane"}, "1", None),
              LedgerRow("server", "w1", "east", {ROLE_LABEL: "worker"}, "2", None)]  # fmt: skip
    assert begins_anew([], ledger, made(Action.CREATE, "cp1")), "no apply has ended yet, so the ledger tells"
    assert not begins_anew([], ledger, made(Action.CREATE, "w1"))


def test_whoever_replaces_the_first_server_joins() -> None:
    assert (
        part(Quorum(is_begun=True, answers=True, authority=KNOWN, voting=2, admitted=2), is_worker=False) is Part.JOIN
    )


@pytest.mark.parametrize("is_worker", [True, False])
def test_nobody_joins_a_cluster_that_does_not_answer(is_worker: bool) -> None:
    with pytest.raises(JoinNotYet, match="does not answer"):
        part(Quorum(is_begun=True, voting=1, admitted=1), is_worker=is_worker)


@pytest.mark.parametrize("is_worker", [True, False])
def test_nobody_joins_a_cluster_whose_authority_is_not_known(is_worker: bool) -> None:
    with pytest.raises(JoinNotYet, match="has not told its authority"):
        part(Quorum(is_begun=True, answers=True, voting=1, admitted=1), is_worker=is_worker)


def test_a_joiner_knows_the_authority_by_its_token_and_whoever_makes_the_cluster_sets_it_bare() -> None:
    join = Join("secret", "other", "10.0.1.2")
    assert (join.as_server, join.as_worker) == ("secret", "other")
    known = replace(join, authority=KNOWN)
    assert (known.as_server, known.as_worker) == (f"K10{KNOWN}::server:secret", f"K10{KNOWN}::node:other")


def test_members_are_added_one_at_a_time_and_workers_need_not_wait_for_them() -> None:
    growing = Quorum(is_begun=True, answers=True, authority=KNOWN, voting=1, admitted=2)
    with pytest.raises(JoinNotYet, match="1 of 2 members vote"):
        part(growing, is_worker=False)
    assert part(growing, is_worker=True) is Part.WORKER


def test_tokens_differ_between_servers_and_workers_and_from_cluster_to_cluster() -> None:
    one, other = drawn("10.0.1.2"), drawn("10.0.1.2")
    tokens = {one.server_token, one.worker_token, other.server_token, other.worker_token}
    assert len(tokens) == 4
    assert all(len(bytes.fromhex(token)) == 32 for token in tokens)
