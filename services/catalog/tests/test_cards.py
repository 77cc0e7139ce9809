"""The search over cards."""

from typing import Any

from catalyst_catalog.domain.cards import Filter, notices, search
from catalyst_catalog.domain.folding import beginnings, fold, rank, wanted
from catalyst_catalog.domain.universe import Release, State, Universe
from hypothesis import example, given
from hypothesis import strategies as st

from .makers import one

LISTED = "listed"


def shop(name: str, title: str = "", **card: object) -> Release:
    return one(f"bp-{name}x", visibility=LISTED, card={"title": title or name, **card})


def names(universe: Universe, wanted: Filter, **how: Any) -> list[str]:
    return [
        head.name.removeprefix("bp-").removesuffix("x") for head in search(universe.heads.values(), wanted, **how).cards
    ]


def test_unlisted_ones_are_found_by_their_exact_name_only(seed: Universe) -> None:
    assert "bp-cilium" not in {head.name for head in search(seed.heads.values(), Filter()).cards}
    assert names(seed, Filter(q="cilium")) == ["cilium"]
    assert names(seed, Filter(q="ciliu")) == []


def test_what_is_an_organization_s_own_is_in_its_grid_whatever_its_manifest_says() -> None:
    own = Universe([one("bp-crm", owner="acme", visibility="unlisted"), one("bp-quiet", visibility="unlisted")])
    assert [head.name for head in search(own.heads.values(), Filter()).cards] == ["bp-crm"]


def test_all_words_must_hit_by_prefix(seed: Universe) -> None:
    assert "librechat" in names(seed, Filter(q="chat llm"))
    assert names(seed, Filter(q="chat nothing")) == []
    assert names(seed, Filter(q="nemo guard")) == ["nemo-guardrails"]


def test_a_hit_in_the_name_comes_before_one_in_the_summary() -> None:
    universe = Universe([
        shop("a", summary="about mail"), shop("b", tagline="mail"), shop("c", tags=["mail"]), shop("d", "Mail"), shop("mail"),
    ])  # fmt: skip
    assert names(universe, Filter(q="mail")) == ["mail", "d", "c", "b", "a"]
    assert names(universe, Filter(q="mail"), order="name") == ["a", "b", "c", "d", "mail"]
    assert names(universe, Filter(q="mail"), order="name", falling=True) == ["mail", "d", "c", "b", "a"]


def test_case_and_accents_do_not_matter() -> None:
    universe = Universe([shop("cafe", "Café Crème")])
    assert names(universe, Filter(q="CREME cafÉ")) == ["cafe"]


def test_filters_and_facets_speak_of_the_same_cards(seed: Universe) -> None:
    found = search(
        seed.heads.values(), Filter(categories=frozenset({"ai-runtime", "ai-safety"}), tags=frozenset({"llm"}))
    )
    assert {head.manifest.spec.card.category for head in found.cards} == {"ai-runtime", "ai-safety"}
    assert sum(found.facets["category"].values()) == len(found.cards)
    assert next(iter(found.facets["tag"].items())) == ("llm", len(found.cards))
    assert names(seed, Filter(layer="control-plane")) == []


def test_all_tags_are_asked_for() -> None:
    universe = Universe([shop("a", tags=["x", "y"]), shop("b", tags=["x"])])
    assert names(universe, Filter(tags=frozenset({"x", "y"}))) == ["a"]


def test_broken_versions_have_no_card_and_deprecated_ones_a_notice() -> None:
    broken = one("bp-ax", state=State.QUARANTINED, visibility=LISTED)
    old = one("bp-bx", state=State.DEPRECATED, visibility=LISTED)
    assert names(Universe([broken, old]), Filter()) == ["b"]
    assert notices(old) == ("deprecated",)


def test_a_place_in_the_list_stays_when_others_come_and_go() -> None:
    before = search(Universe([shop(n) for n in "ace"]).heads.values(), Filter(), order="name")
    after = search(Universe([shop(n) for n in "abde"]).heads.values(), Filter(), order="name")
    assert [head.name for head in after.cards[after.after(before.keys[1]) :]] == ["bp-dx", "bp-ex"]


@given(st.text(max_size=100))
def test_no_words_are_ever_a_pattern(text: str) -> None:
    universe = Universe([shop("a", "(.*)%_")])
    assert set(names(universe, Filter(q=text))) <= {"a"}
    assert fold(fold(text)) == fold(fold(fold(text)))


ODD = ["Café", "cert-manager", "a/b-c", "STRASSE", "straße", "x", "İ", "-", "\x00y"]
TEXT = st.lists(st.sampled_from(ODD), max_size=4).map(" ".join)


@example("manager b", ["nothing", "cert-manager", "a/b-c"])
@given(TEXT | st.text(max_size=12), st.lists(TEXT | st.text(max_size=12), min_size=1, max_size=3))
def test_a_word_is_found_where_some_word_begins_with_it_and_nowhere_else(q: str, texts: list[str]) -> None:
    def parts(text: str) -> list[str]:
        whole = fold(text).split()
        return whole + [part for word in whole for part in word.replace("/", "-").split("-")]

    places = [
        next((n for n, text in enumerate(texts) if any(part.startswith(word) for part in parts(text))), None)
        for word in fold(q).split()
    ]
    expected = None if None in places else max((place for place in places if place is not None), default=0)
    assert rank(wanted(q), [beginnings(text) for text in texts]) == expected
