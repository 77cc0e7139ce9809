"""A wish resolves to one version of everything, or to the whole reason why not."""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from catalyst_catalog.domain import locks, ranges
from catalyst_catalog.domain.conflicts import Conflict
from catalyst_catalog.domain.provider import Policy, Root
from catalyst_catalog.domain.refusals import (
    BlueprintNotFound,
    DependencyCycle,
    LockedVersionQuarantined,
    NoMatch,
    NotReleased,
    PublicNeedsPrivate,
    SolverBudget,
    ValuesConflict,
)
from catalyst_catalog.domain.solver import Solution, solve
from catalyst_catalog.domain.universe import Release, State, Universe
from hypothesis import given, settings
from hypothesis import strategies as st

from .makers import THIRTEEN, needs, one, seed_releases

LIBRECHAT = (Root("bp-librechat", "^1"),)


def chosen(solution: Solution) -> dict[str, str]:
    return {c.release.name: c.release.version for c in solution.chosen}


def world(*releases: Release) -> Universe:
    return Universe(releases)


def digest(universe: Universe, roots: Iterable[Root], policy: Policy | None = None) -> str:
    policy = policy or Policy()
    return locks.lock(solve(universe, roots, policy), policy, universe.revision).digest


def test_librechat_needs_thirteen_and_no_spire(seed: Universe) -> None:
    assert " ".join(chosen(solve(seed, LIBRECHAT))) == THIRTEEN


def test_a_public_blueprint_never_gets_what_is_an_organization_s_own() -> None:
    mine = one("bp-crm", owner="acme", depends=needs(db="*"))
    universe = world(mine, one("bp-db"), one("bp-shop", depends=needs(crm="*")))
    assert chosen(solve(universe, [Root("bp-crm")])) == {"bp-crm": "1.0.0", "bp-db": "1.0.0"}
    for roots in ([Root("bp-shop")], [Root("bp-crm"), Root("bp-shop")]):
        with pytest.raises(PublicNeedsPrivate, match="bp-shop is public and may not depend on bp-crm"):
            solve(universe, roots)


def test_every_released_blueprint_can_be_had_at_once(seed: Universe) -> None:
    roots = [Root(name) for name, head in seed.heads.items() if head.is_offered and not head.is_opt_in]
    assert len(solve(seed, roots).chosen) == len(roots) == 50


def conflict(seed: Universe, roots: Iterable[Root]) -> Conflict:
    newer = one("bp-keycloak", "2.0.0", depends=needs(**{"cert-manager": "^1"}))
    with pytest.raises(Conflict) as refused:
        solve(Universe([newer, *seed_releases()]), roots)
    return refused.value


def test_a_conflict_names_every_demand_and_the_one_to_relax(seed: Universe) -> None:
    told = conflict(seed, [Root("bp-librechat", "^1"), Root("bp-keycloak", "^2.0")])
    (keycloak,) = told.contested
    assert [(d.by, d.range, d.path) for d in keycloak.demands] == [
        ("", "^2.0", ()),
        ("bp-librechat", "^1.1", ("bp-librechat",)),
        ("bp-llm-gateway", "^1.0", ("bp-librechat", "bp-llm-gateway")),
    ]
    assert [(v.version, v.reason) for v in keycloak.versions] == [("2.0.0", "RANGE"), ("1.1.2", "RANGE")]
    assert [str(d) for d in keycloak.relax] == ["^2.0 by the caller"]
    assert len(told.violations) == 5


def test_a_conflict_has_the_same_bytes_whatever_the_order(seed: Universe) -> None:
    roots = [Root("bp-librechat", "^1"), Root("bp-keycloak", "^2.0")]
    assert conflict(seed, roots).sentence == conflict(seed, reversed(roots)).sentence
    assert conflict(seed, roots).violations == conflict(seed, reversed(roots)).violations


@given(st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_lock_depends_on_nothing_that_nobody_asked_for(shuffle: random.Random, strangers: int) -> None:
    wish = (Root("bp-librechat", "^1"), Root("bp-harbor"))
    before = digest(Universe(seed_releases(), 1), wish)
    rows = [*seed_releases(), *(one(f"bp-stranger{n}", depends=needs(cilium="*")) for n in range(strangers))]
    shuffle.shuffle(rows)
    turned = list(wish)
    shuffle.shuffle(turned)
    assert digest(Universe(rows, 2), turned) == before


def test_solving_again_from_its_own_lock_changes_nothing() -> None:
    universe = world(one("bp-aa", depends=needs(bb="*")), one("bp-bb", "1.0.0"), one("bp-bb", "1.1.0"))
    pinned = Policy(installed={"bp-aa": "1.0.0", "bp-bb": "1.0.0"}, locked=frozenset({"bp-aa", "bp-bb"}))
    assert chosen(solve(universe, [Root("bp-aa")], pinned)) == {"bp-aa": "1.0.0", "bp-bb": "1.0.0"}
    freed = replace(pinned, update=frozenset({"bp-bb"}))
    assert chosen(solve(universe, [Root("bp-aa")], freed))["bp-bb"] == "1.1.0"


def test_an_installed_version_moves_only_as_far_as_a_demand_asks() -> None:
    versions = [one("bp-bb", v) for v in ("1.0.0", "1.1.0", "1.2.0")]
    universe = world(one("bp-aa", depends=needs(bb=">=1.1")), *versions)
    policy = Policy(installed={"bp-bb": "1.0.0"})
    solution = solve(universe, [Root("bp-aa")], policy)
    assert chosen(solution)["bp-bb"] == "1.2.0"
    (move,) = locks.lock(solution, policy, 1).moves
    assert (move.before, move.after, move.is_downgrade) == ("1.0.0", "1.2.0", False)


def test_a_downgrade_needs_permission() -> None:
    universe = world(one("bp-aa", depends=needs(bb="1.0.x")), one("bp-bb", "1.0.0"), one("bp-bb", "1.1.0"))
    policy = Policy(installed={"bp-bb": "1.1.0"})
    with pytest.raises(Conflict, match="bp-bb"):
        solve(universe, [Root("bp-aa")], policy)
    allowed = replace(policy, allow_downgrade=True)
    assert chosen(solve(universe, [Root("bp-aa")], allowed))["bp-bb"] == "1.0.0"


def test_upgrades_go_only_where_the_new_version_says_so() -> None:
    newer = one("bp-bb", "2.0.0", upgrades={"from": ["1.2.x"], "blocks": ["1.0.x"]})
    universe = world(one("bp-bb", "1.0.0"), one("bp-bb", "1.1.0"), one("bp-bb", "1.2.0"), newer)

    def reason(installed: str) -> str:
        with pytest.raises(NoMatch):
            solve(universe, [Root("bp-bb", "^2")], Policy(installed={"bp-bb": installed}))
        with pytest.raises(Conflict) as refused:
            solve(world(one("bp-aa", depends=needs(bb="^2")), *universe.releases("bp-bb")), [Root("bp-aa")],
                  Policy(installed={"bp-bb": installed}))  # fmt: skip
        return refused.value.contested[0].versions[0].reason

    assert chosen(solve(universe, [Root("bp-bb", "^2")], Policy(installed={"bp-bb": "1.2.0"}))) == {"bp-bb": "2.0.0"}
    assert reason("1.0.0") == "UPGRADE_BLOCKED"
    assert reason("1.1.0") == "UPGRADE_UNKNOWN"


def test_a_yanked_version_stays_only_where_it_is_locked() -> None:
    universe = world(one("bp-bb", "1.0.0"), one("bp-bb", "1.1.0", State.YANKED))
    assert chosen(solve(universe, [Root("bp-bb")])) == {"bp-bb": "1.0.0"}
    held = Policy(installed={"bp-bb": "1.1.0"}, locked=frozenset({"bp-bb"}))
    assert chosen(solve(universe, [Root("bp-bb")], held)) == {"bp-bb": "1.1.0"}


def test_a_locked_version_without_trust_blocks_the_lock() -> None:
    universe = world(one("bp-bb", "1.0.0"), one("bp-bb", "1.1.0", State.QUARANTINED))
    held = Policy(installed={"bp-bb": "1.1.0"}, locked=frozenset({"bp-bb"}))
    with pytest.raises(LockedVersionQuarantined):
        solve(universe, [Root("bp-bb")], held)
    assert chosen(solve(universe, [Root("bp-bb")])) == {"bp-bb": "1.0.0"}


def test_roots_that_cannot_be_had_say_why(seed: Universe) -> None:
    with pytest.raises(BlueprintNotFound):
        solve(seed, [Root("bp-nothing")])
    with pytest.raises(NotReleased):
        solve(seed, [Root("bp-milvus")])
    with pytest.raises(NoMatch):
        solve(seed, [Root("bp-harbor", "^9")])


def test_a_need_that_nobody_knows_makes_a_version_unsolvable_not_a_crash() -> None:
    with pytest.raises(Conflict, match="bp-gone is demanded as \\* by bp-aa, but it is not known"):
        solve(world(one("bp-aa", depends=needs(gone="*"))), [Root("bp-aa")])


def test_a_circle_is_refused_with_its_path() -> None:
    universe = world(
        *(one(f"bp-{a}", depends=needs(**{b: "*"})) for a, b in (("aa", "bb"), ("bb", "cc"), ("cc", "aa")))
    )
    with pytest.raises(DependencyCycle) as refused:
        digest(universe, [Root("bp-aa")])
    assert refused.value.metadata["path"] == "bp-aa > bp-bb > bp-cc > bp-aa"


SCHEMA = {"type": "object", "properties": {"db": {"type": "string", "enum": ["own", "none"], "default": "own"}}}


def conditional() -> Universe:
    edge = {"blueprint": "bp-db", "when": "config.db == 'own'"}
    return world(
        one("bp-app", configSchema=SCHEMA, depends=[edge]), one("bp-db", depends=needs(disk="*")), one("bp-disk")
    )


def test_a_false_edge_drops_out_with_everything_only_it_needed() -> None:
    assert set(chosen(solve(conditional(), [Root("bp-app")]))) == {"bp-app", "bp-db", "bp-disk"}
    assert set(chosen(solve(conditional(), [Root("bp-app", config={"db": "none"})]))) == {"bp-app"}


def test_conditions_read_the_application_and_the_environment() -> None:
    edge = {"blueprint": "bp-db", "when": "environment.type == 'prod' and application.name == 'shop'"}
    universe = world(one("bp-app", depends=[edge]), one("bp-db"))
    prod = Policy(environment={"type": "prod"})
    assert "bp-db" in chosen(solve(universe, [Root("bp-app", application="shop")], prod))
    assert "bp-db" not in chosen(solve(universe, [Root("bp-app")], prod))
    assert "bp-db" not in chosen(solve(universe, [Root("bp-app", application="shop")]))


def test_values_reach_the_conditions_of_the_child() -> None:
    passed = {"blueprint": "bp-db", "values": {"backup": "{config.backup}", "name": "db-{application.name}"}}
    edge = {"blueprint": "bp-store", "when": "config.backup and config.name == 'db-shop'"}
    universe = world(one("bp-app", depends=[passed]), one("bp-db", depends=[edge]), one("bp-store"))
    with_backup = [Root("bp-app", config={"backup": True}, application="shop")]
    assert "bp-store" in chosen(solve(universe, with_backup))
    assert "bp-store" not in chosen(solve(universe, [Root("bp-app", application="shop")]))


def test_two_parents_share_a_child_only_with_equal_values() -> None:
    def parent(name: str, size: int) -> Release:
        return one(name, depends=[{"blueprint": "bp-db", "values": {"size": size}}])

    equal = world(parent("bp-aa", 1), parent("bp-bb", 1), one("bp-db"))
    assert chosen(solve(equal, [Root("bp-aa"), Root("bp-bb")]))["bp-db"] == "1.0.0"
    with pytest.raises(ValuesConflict) as refused:
        solve(world(parent("bp-aa", 1), parent("bp-bb", 2), one("bp-db")), [Root("bp-aa"), Root("bp-bb")])
    assert {refused.value.metadata[key] for key in ("first", "second")} == {"bp-aa", "bp-bb"}


def test_an_opt_in_blueprint_comes_by_explicit_choice_or_a_condition_only() -> None:
    spire = one("bp-spire", optIn=True)
    with pytest.raises(Conflict):
        solve(world(one("bp-aa", depends=needs(spire="*")), spire), [Root("bp-aa")])
    assert chosen(solve(world(one("bp-aa"), spire), [Root("bp-aa"), Root("bp-spire")])).keys() == {"bp-aa", "bp-spire"}
    edge = {"blueprint": "bp-spire", "when": "true"}
    assert "bp-spire" in chosen(solve(world(one("bp-aa", depends=[edge]), spire), [Root("bp-aa")]))


def hard(size: int, seed_number: int) -> Universe:
    """Random versions whose narrow demands contradict each other somewhere deep; without circles."""
    draw = random.Random(seed_number)
    releases = []
    for n in range(size):
        for minor in range(8):
            later = range(n + 1, size)
            wanted = {f"n{m}": _three(draw) for m in draw.sample(later, min(4, len(later)))}
            releases.append(one(f"bp-n{n}", f"1.{minor}.0", depends=needs(**wanted)))
    return Universe(releases)


def _three(draw: random.Random) -> str:
    return " || ".join(f"1.{minor}.x" for minor in draw.sample(range(8), 3))


def test_a_search_without_end_ends_in_its_budget() -> None:
    roots = [Root(f"bp-n{n}") for n in range(6)]
    with pytest.raises(SolverBudget) as refused:
        solve(hard(30, 1), roots, most_rounds=60)
    assert refused.value.metadata["blueprint"].startswith("bp-n")
    ticks = itertools.count()
    with pytest.raises(SolverBudget):
        solve(hard(30, 1), roots, out_of_time=lambda: next(ticks) > 20)


def test_a_refusal_stays_small_enough_to_travel() -> None:
    parents = [one(f"bp-p{n}", depends=needs(**{f"x{m}": f"1.{n}.x" for m in range(40)})) for n in range(40)]
    shared = [one(f"bp-x{m}", f"1.{minor}.0") for m in range(40) for minor in range(40)]
    with pytest.raises(Conflict) as refused:
        solve(Universe([*parents, *shared]), [Root(f"bp-p{n}") for n in range(40)])
    size = len(str(refused.value)) + sum(len(v.description) + len(v.field) for v in refused.value.violations)
    assert size < 4096
    assert "and 34 more" in str(refused.value)


def test_a_circle_of_old_versions_does_not_hide_a_solution() -> None:
    """dd 2 needs cc 1, which needs dd 1: only a choice that is really taken back leads out of it."""
    universe = world(
        one("bp-dd", "2.0.0", depends=needs(cc="1.0.x")),
        one("bp-dd", "1.1.0"),
        one("bp-cc", "2.0.0", depends=needs(bb="^2")),
        one("bp-cc", "1.0.0", depends=needs(dd="^1")),
        one("bp-bb", "2.0.0"),
    )
    assert chosen(solve(universe, [Root("bp-dd")])) == {"bp-dd": "1.1.0"}
    with pytest.raises(Conflict, match="bp-dd"):
        solve(universe, [Root("bp-dd", "^2")])


def test_pre_releases_are_chosen_where_a_range_names_them_or_their_source_says_so() -> None:
    early = [one("bp-db", version) for version in ("1.0.0", "1.1.0-rc.1", "2.0.0-rc.1")]
    app = one("bp-app", depends=needs(db="^1"))
    assert chosen(solve(world(app, *early), [Root("bp-app")]))["bp-db"] == "1.0.0"
    assert chosen(solve(world(app, *early), [Root("bp-db", "~1.1.0-rc.1")]))["bp-db"] == "1.1.0-rc.1"
    counted = world(app, *(replace(release, counts_early=True) for release in early))
    assert chosen(solve(counted, [Root("bp-app")]))["bp-db"] == "1.1.0-rc.1"
    assert [universe.heads["bp-db"].version for universe in (world(*early), counted)] == ["1.0.0", "2.0.0-rc.1"]


def test_a_caller_may_have_pre_releases_where_nothing_else_will_do() -> None:
    early = Policy(allow_early=True)
    dbs = [one("bp-db", version) for version in ("1.0.0", "1.1.0-rc.1", "2.1.0-rc.1", "2.1.0-rc.2")]
    apps = [one("bp-app", "1.0.0", depends=needs(db="^1")), one("bp-app", "2.0.0", depends=needs(db="^2"))]
    universe = world(*dbs, *apps)
    # An older application with a finished database is an answer, so that nobody gets an unfinished one.
    assert chosen(solve(universe, [Root("bp-app")], early)) == {"bp-app": "1.0.0", "bp-db": "1.0.0"}
    assert chosen(solve(universe, [Root("bp-app", "^2")], early)) == {"bp-app": "2.0.0", "bp-db": "2.1.0-rc.2"}
    assert chosen(solve(universe, [Root("bp-db", ">=1.0.1")], early))["bp-db"] == "2.1.0-rc.2"
    both = [Root("bp-app", "^2"), Root("bp-db", "^1")]
    for policy in (early, Policy()):
        with pytest.raises(Conflict):
            solve(universe, both, policy)
    with pytest.raises(NoMatch):
        solve(universe, [Root("bp-db", ">=1.0.1")])


def test_a_circle_somewhere_costs_a_quarrel_elsewhere_no_budget() -> None:
    """The wrong choice, aa 1.1, is made first, and shows after ten others that have nothing to do with it."""
    beside = [one(f"bp-m{n}x", f"1.{minor}.0") for n in range(10) for minor in range(1, 3)]
    circle = [one(f"bp-m{n}x", "1.0.0", depends=needs(**{f"m{(n + 1) % 10}x": "*"})) for n in range(10)]
    yy = [one("bp-yy", f"1.{minor}.0", depends=needs(ww="1.1.x" if minor else "1.0.x")) for minor in range(4)]
    zz = [one("bp-zz", f"1.{minor}.0", depends=needs(ww="1.0.x")) for minor in range(4)]
    others = {f"m{n}x": "*" for n in range(10)}
    universe = world(
        one("bp-app", depends=needs(aa="*", yy="*", zz="*", **others)),
        one("bp-aa", "1.0.0"), one("bp-aa", "1.1.0", depends=needs(yy=">=1.1")), one("bp-ww", "1.0.0"), one("bp-ww", "1.1.0"),
        *beside, *circle, *yy, *zz,
    )  # fmt: skip
    found = chosen(solve(universe, [Root("bp-app")]))
    assert (found["bp-aa"], found["bp-yy"], found["bp-m0x"]) == ("1.0.0", "1.0.0", "1.2.0")


small = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["1.0.0", "1.1.0", "2.0.0"])),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["*", "^1", "^2", "1.0.x", ">=1.1"]), max_size=3),
    min_size=1,
    max_size=12,
)


def is_solution(picks: Mapping[str, Release], roots: Iterable[Root]) -> bool:
    def meets(name: str, text: str) -> bool:
        return name in picks and ranges.matches(text, picks[name].version)

    return all(meets(root.name, root.range) for root in roots) and all(
        meets(edge.blueprint, edge.range) for pick in picks.values() for edge in pick.edges
    )


def by_force(universe: Universe, roots: Iterable[Root]) -> bool:
    """Whether any choice of at most one version per name meets everything."""
    choices = [(None, *universe.releases(name)) for name in universe.names]
    return any(is_solution({pick.name: pick for pick in picks if pick}, roots) for picks in itertools.product(*choices))


@given(small)
@settings(max_examples=150, deadline=None)
def test_small_worlds_agree_with_brute_force(graph: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
    releases = [
        one(f"bp-{name}x", version, depends=needs(**{f"{n}x": r for n, r in wanted.items() if n != name}))
        for (name, version), wanted in graph.items()
    ]
    universe = Universe(releases)
    roots = [Root(universe.names[0])]
    try:
        solution = solve(universe, roots)
    except (Conflict, NoMatch):
        assert not by_force(universe, roots)
    else:
        assert is_solution({c.release.name: c.release for c in solution.chosen}, roots)
