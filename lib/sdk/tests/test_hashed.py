"""NSEC3 chains of any zone prove what is so, and nothing else (RFC 5155)."""

from collections.abc import Iterable

import dns.name
import dns.rrset
import pytest
from catalyst_sdk.resolver import hashed
from catalyst_sdk.resolver.hashed import Nsec3
from dns.rdatatype import RdataType
from hypothesis import example, given
from hypothesis import strategies as st

ZONE = dns.name.from_text("example.test.")
SALT, ITERATIONS = b"\xab", 1
LABELS = st.sampled_from(["a", "b", "zz", "*", "m-m"])
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: dns.name.from_text(".".join(labels), ZONE))
KINDS = st.sampled_from([RdataType.TXT, RdataType.NS, RdataType.CNAME])
Sets = dict[dns.name.Name, RdataType]


def hash_of(name: dns.name.Name) -> str:
    return Nsec3("", "", frozenset(), False, SALT, ITERATIONS).hash(name)


def visible(sets: Sets) -> Sets:
    """Without what a delegation hides."""
    cuts = [name for name, kind in sets.items() if kind == RdataType.NS]
    return {
        name: kind for name, kind in sets.items() if not any(name != cut and name.is_subdomain(cut) for cut in cuts)
    }


def with_empty_ones(names: Iterable[dns.name.Name]) -> set[dns.name.Name]:
    found = {ZONE}
    for name in names:
        while name != ZONE:
            found.add(name)
            name = name.parent()
    return found


def chain(sets: Sets, *, opt_out: bool = False, iterations: int = ITERATIONS) -> tuple[Nsec3, ...]:
    """The records of a zone, made from what RFC 5155 says in section 7.1, not from the code under test."""
    kinds = {ZONE: frozenset({RdataType.SOA, RdataType.NS}), **{name: frozenset({kind}) for name, kind in sets.items()}}
    listed = [n for n in with_empty_ones(sets) if not (opt_out and kinds.get(n) == {RdataType.NS})]
    by_hash = sorted((hash_of(name), kinds.get(name, frozenset())) for name in listed)
    after = [owner for owner, _ in by_hash[1:]] + [by_hash[0][0]]
    return tuple(
        Nsec3(owner, following, types, opt_out, SALT, iterations)
        for (owner, types), following in zip(by_hash, after, strict=True)
    )


def encloser(sets: Sets, name: dns.name.Name) -> dns.name.Name:
    there = with_empty_ones(sets)
    while name not in there:
        name = name.parent()
    return name


@example(sets={}, name=dns.name.from_text("a", ZONE), kind=RdataType.TXT)
@given(sets=st.dictionaries(NAMES, KINDS, max_size=5).map(visible), name=NAMES, kind=KINDS)
def test_a_chain_proves_exactly_what_is_not_there(sets: Sets, name: dns.name.Name, kind: RdataType) -> None:
    proofs = chain(sets)
    there = with_empty_ones(sets)
    above = encloser(sets, name)
    is_hidden = any(k == RdataType.NS and name != cut and name.is_subdomain(cut) for cut, k in sets.items())
    wildcard = dns.name.Name((b"*", *above.labels))
    if is_hidden:
        assert not hashed.name_absent(proofs, name)
        assert not hashed.type_absent(proofs, name, kind)
        return
    assert hashed.name_absent(proofs, name) == (name not in there and wildcard not in there)
    source = name if name in there else wildcard
    lacks = source in there and sets.get(source) not in {kind, RdataType.CNAME, RdataType.NS}
    assert hashed.type_absent(proofs, name, kind) == lacks
    assert hashed.unsigned_below(proofs, name) == (sets.get(name) == RdataType.NS)
    if name not in there:
        assert hashed.expanded(proofs, name, len(above.labels) - 1)
    assert not hashed.opted_out(proofs, name)


def test_an_opted_out_delegation_is_neither_there_nor_absent_but_surely_has_no_ds() -> None:
    cut = dns.name.from_text("cut", ZONE)
    proofs = chain({cut: RdataType.NS, dns.name.from_text("a", ZONE): RdataType.TXT}, opt_out=True)
    assert hashed.opted_out(proofs, cut)
    assert hashed.type_absent(proofs, cut, RdataType.DS)
    assert not hashed.type_absent(proofs, cut, RdataType.TXT)
    assert not hashed.opted_out(proofs, dns.name.from_text("a", ZONE))


def test_a_childs_own_record_says_nothing_about_the_ds_that_its_parent_has() -> None:
    assert not hashed.type_absent(chain({}), ZONE, RdataType.DS)
    assert hashed.type_absent(chain({}), ZONE, RdataType.MX)


def test_a_chain_that_costs_too_much_is_noticed() -> None:
    assert not hashed.too_costly(chain({}, iterations=hashed.MOST_ITERATIONS))
    assert hashed.too_costly(chain({}, iterations=hashed.MOST_ITERATIONS + 1))


@pytest.mark.parametrize(
    ("owner", "text", "known"),
    [
        ("{hash}.example.test.", "1 0 1 ab {hash} A", 1),
        ("{hash}.example.test.", "1 1 1 - {hash} A", 1),
        ("{hash}.example.test.", "1 2 1 ab {hash} A", 0),
        ("{hash}.example.test.", "2 0 1 ab {hash} A", 0),
        ("{hash}.other.test.", "1 0 1 ab {hash} A", 0),
    ],
)
def test_records_of_an_unknown_kind_or_of_another_zone_are_ignored(owner: str, text: str, known: int) -> None:
    values = {"hash": hash_of(ZONE)}
    rrset = dns.rrset.from_text(owner.format(**values), 60, "IN", "NSEC3", text.format(**values))
    found = hashed.read([rrset], ZONE)
    assert len(found) == known
    assert all(proof.after == hash_of(ZONE) for proof in found)
