"""Names of Organizations."""

import pytest
from catalyst_environment.data import reserved
from catalyst_environment.domain.slugs import SlugInvalid, SlugReserved, demand
from catalyst_provisioner.data import reference

NAMES = reserved()


@pytest.mark.parametrize("slug", ["acme", "a1b", "a-b-c", "x" * 32])
def test_a_slug_is_3_to_32_letters_digits_and_single_hyphens(slug: str) -> None:
    demand(slug, NAMES)


@pytest.mark.parametrize("slug", ["AC", "ACME", "acme-", "a--b", "-abc", "1abc", "ab", "x" * 33, "Ácme", "a.b", ""])
def test_what_is_no_slug_is_refused_as_such(slug: str) -> None:
    with pytest.raises(SlugInvalid):
        demand(slug, NAMES)


@pytest.mark.parametrize(
    "slug", ["kube-x", "prod", "fsn", "hz", "hetzner", "rtz", "system", "catalog-sovereign", "www"]
)
def test_words_of_the_system_and_codes_of_names_are_reserved(slug: str) -> None:
    with pytest.raises(SlugReserved):
        demand(slug, NAMES)


def test_every_code_from_which_the_provisioner_makes_names_is_reserved() -> None:
    known = reference()
    codes = known.dimension_codes | set(known.providers)
    assert codes - NAMES.words == set()
