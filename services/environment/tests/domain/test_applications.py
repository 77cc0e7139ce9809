"""Applications, decided without a server: who goes with whom, what stands in Git, when something counts as installed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_environment.domain import applications, trees
from catalyst_environment.domain.applications import (
    Application,
    NothingBefore,
    OperationInProgress,
    Pin,
    State,
    Wanted,
    departure,
)
from catalyst_environment.domain.trees import SecretInConfig, demand_no_secret
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PIN = Pin("1.0.0", "sha256:a", {}, "---\n{}\n")
COMMIT, OTHER = "a" * 40, "b" * 40


def made(id: str, *uses: str, backing: bool = False) -> Application:
    wanted = Wanted(id, f"blueprints/bp-{id}", PIN, uses, {}, backing)
    return applications.install(None, wanted, "acme-prod", "acme", {}, uid=id, run="run-1", now=NOON).state


def written(one: Application, commit: str = COMMIT) -> Application:
    return applications.settle(applications.committed(one, commit, NOON).state, NOON).state


def seen(one: Application, commit: str = COMMIT, *, healthy: bool = True) -> Application:
    return applications.observe(one, commit, healthy=healthy, message="", now=NOON + timedelta(hours=1)).state


def test_an_installation_ends_when_its_commit_was_seen_healthy_and_by_nothing_else() -> None:
    one = written(made("blog"))
    assert one.state is State.INSTALLING
    assert seen(one, OTHER).state is State.INSTALLING, "of another commit nothing is known"
    assert seen(one, healthy=False).state is State.INSTALLING
    active = seen(one)
    assert (active.state, active.active_since) == (State.ACTIVE, NOON + timedelta(hours=1))
    down = seen(active, healthy=False)
    assert (down.state, down.active_since) == (State.DEGRADED, None)
    paused = written(applications.change(active, active.pin, "run-2", NOON, paused=True).state)
    assert seen(paused).state is State.PAUSED, "a paused one only reports"


def test_one_operation_at_a_time_and_the_pin_before_is_kept() -> None:
    with pytest.raises(OperationInProgress):
        applications.change(made("blog"), PIN, "run-2", NOON)
    one = seen(written(made("blog")))
    with pytest.raises(NothingBefore):
        applications.roll_back(one, "run-2", NOON)
    newer = Pin("2.0.0", "sha256:b", {}, "---\n{}\n")
    moved = seen(written(applications.change(one, newer, "run-2", NOON).state, OTHER), OTHER)
    assert moved.pin.release == "2.0.0"
    back = applications.roll_back(moved, "run-3", NOON).state
    assert (back.pin.release, back.previous and back.previous.release) == ("1.0.0", "2.0.0")


def test_what_was_made_for_an_order_and_goes_after_it_failed_has_failed_for_good_unless_it_ever_stood() -> None:
    def told(one: Application) -> list[tuple[str, bool]]:
        gone = applications.remove(applications.uninstall(one, "run-2", NOON).state, NOON)
        assert [f.application.version for f in gone.events] == sorted({f.application.version for f in gone.events})
        return [(type(fact).__name__, getattr(fact, "is_final", False)) for fact in gone.events]

    ordered = replace(made("blog"), order="billingAccounts/acme/orders/o-1")
    failed = applications.fail(ordered, "write", NOON)
    assert [fact.is_final for fact in failed.events] == [False]
    final, plain = [("Failed", True), ("Removed", False)], [("Removed", False)]
    assert told(failed.state) == final
    assert told(replace(failed.state, order="")) == plain
    assert told(written(ordered)) == plain  # nobody had waited for it to fail
    assert told(replace(failed.state, was_active=True)) == plain
    again = applications.remove(failed.state, NOON)  # its run is taken back
    assert [type(fact).__name__ for fact in again.events] == ["Failed", "Removed"]


def test_what_is_taken_back_stands_as_before() -> None:
    assert applications.take_back(made("blog"), "", NOON).state.state is State.DELETED
    one = seen(written(made("blog")))
    moved = applications.change(one, Pin("2.0.0", "d", {}, ""), "run-2", NOON).state
    back = applications.take_back(moved, OTHER, NOON).state
    assert (back.state, back.pin.release, back.pin.commit, back.previous) == (State.ACTIVE, "1.0.0", OTHER, None)


def test_a_service_that_others_use_stays_and_the_last_user_takes_it_along() -> None:
    db = made("db", backing=True)
    blog, wiki = made("blog", "db"), made("wiki", "db")
    both = departure(blog, [db, blog, wiki])
    assert (both.purged, both.retained, both.dependents) == ((), ("db",), ())
    last = departure(wiki, [db, wiki])
    assert (last.purged, last.retained) == (("db",), ())
    assert last.order("wiki", [db, wiki]) == ("wiki", "db")
    needed = departure(db, [db, blog, wiki])
    assert needed.dependents == ("blog", "wiki")
    assert needed.order("db", [db, blog, wiki]) == ("blog", "wiki", "db")


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=7), st.data())
def test_whoever_goes_goes_before_what_it_needs_and_what_stays_misses_nothing(
    drawn: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Each may need those before it, so there is no ring."""
    all = []
    for n, (_, backing) in enumerate(drawn):
        needs = sorted(data.draw(st.sets(st.integers(0, n - 1)), label=f"needs of {n}")) if n else []
        all.append(made(f"a{n}", *(f"a{need}" for need in needs), backing=backing))
    target = all[data.draw(st.integers(0, len(all) - 1), label="target")]
    going = departure(target, all)
    order = going.order(target.id, all)
    assert set(order) == {target.id, *going.purged, *going.dependents}
    assert len(order) == len(set(order))
    for one in all:
        if one.id in order:
            assert all_after(order, one.id, [need for need in one.uses if need in order])
        else:
            assert not set(one.uses) & set(order), "what stays misses nothing"


def all_after(order: tuple[str, ...], id: str, needs: list[str]) -> bool:
    return all(order.index(need) > order.index(id) for need in needs)


@pytest.mark.parametrize(
    "config",
    [
        {"db": {"password": "hunter2"}},
        {"apiKey": "x"},
        {"list": [{"note": "Zx81q0Lw7Rk2Vt9Bn4Ms6Jd3Hc5Gf8Pa"}]},
    ],
)
def test_what_looks_like_a_secret_is_refused_by_its_path_and_never_repeated(config: dict[str, object]) -> None:
    with pytest.raises(SecretInConfig) as refused:
        demand_no_secret(config)
    told = f"{refused.value} {refused.value.metadata} {refused.value.violations}"
    assert not any(value in told for value in ("hunter2", "Zx81q0Lw7Rk2Vt9Bn4Ms6Jd3Hc5Gf8Pa"))


def test_references_and_words_are_no_secrets() -> None:
    demand_no_secret(
        {"passwordSecretRef": "blog-db", "secretName": "x", "host": "shop.acme-prod.svc.cluster.local", "n": 3}
    )


def test_our_files_hold_the_pin_and_what_people_added_stays() -> None:
    one = made("blog")
    tree = trees.files(one, {**trees.scaffold("acme", "blog"), "notes.md": b"mine"})
    assert trees.pin_of(tree) == ("blueprints/bp-blog", "1.0.0", "sha256:a")
    assert tree["notes.md"] == b"mine"
    assert trees.files(one, tree) == tree
    assert trees.pin_of(trees.without(tree)) is None
    assert trees.without(tree).keys() >= {"notes.md", "CODEOWNERS", "overlays/prod/values.yaml"}
