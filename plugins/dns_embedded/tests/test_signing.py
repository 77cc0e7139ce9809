"""Signatures and the NSEC chain, without a server: proofs for any zone, reuse, renewal."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from catalyst_dns_embedded.answers import answer
from catalyst_dns_embedded.authority import Authority
from catalyst_dns_embedded.signing import RENEWED_AFTER, ZoneSigner
from catalyst_dns_embedded.store import ZoneStore
from catalyst_sdk.dns import Change, KeyOp, RecordSet, ZoneSpec
from catalyst_sdk.resolver import denial, fault, pick
from dns.rdatatype import RdataType
from hypothesis import example, given, settings
from hypothesis import strategies as st

ZONE = "example.test."
NOON = datetime.now(UTC).replace(microsecond=0)
LABELS = st.sampled_from(["a", "b", "zz", "*", "_x", "0", "m-m"])
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join(labels) + "." + ZONE)
KINDS = st.sampled_from(["TXT", "NS", "CNAME"])
DATA = {"TXT": '"x"', "NS": "ns.elsewhere.", "CNAME": "target.elsewhere."}


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def authority(*records: RecordSet, clock: Clock | None = None) -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as folder:
        store = ZoneStore(Path(folder))
        made = Authority(store, ZoneSigner(clock or Clock()))
        made.create(ZoneSpec(ZONE, ("ns.elsewhere.",), "somebody", records))
        yield made
        store.close()


def test_renounced_keys_ask_for_deletion_after_a_restart_too_until_there_are_new_ones(tmp_path: Path) -> None:
    def shown(made: Authority) -> list[str]:
        sets = [pick(ask(made, ZONE, kind).answer, dns.name.from_text(ZONE), dns.rdatatype.from_text(kind))
                for kind in ("CDS", "CDNSKEY")]  # fmt: skip
        return [str(r) for rrset in sets if rrset is not None for r in rrset]

    for n in range(2):
        store = ZoneStore(tmp_path)
        made = Authority(store, ZoneSigner(Clock()))
        if n == 0:
            made.create(ZoneSpec(ZONE, ("ns.elsewhere.",), "somebody"))
            made.dnssec(ZONE, KeyOp.RENOUNCE)
        assert shown(made) == ["0 0 0 00", "0 3 0 AA=="]
        assert pick(ask(made, ZONE, "DNSKEY").answer, dns.name.from_text(ZONE), RdataType.DNSKEY) is not None
        if n == 1:
            assert made.dnssec(ZONE, KeyOp.ENABLE).keys
            assert shown(made)[0] != "0 0 0 00"
            made.dnssec(ZONE, KeyOp.RENOUNCE)
            made.dnssec(ZONE, KeyOp.DISABLE)
            (key,) = made.dnssec(ZONE, KeyOp.ENABLE).keys
            assert shown(made)[0].lower() == key.ds[0].lower()
        store.close()


def ask(made: Authority, name: str, kind: str) -> dns.message.Message:
    """Over the wire, as a resolver has it."""
    response = answer(made, dns.message.make_query(name, kind, want_dnssec=True))
    return dns.message.from_wire(response.to_wire())


def consistent(wished: list[tuple[str, str]]) -> tuple[RecordSet, ...]:
    """Of what was drawn, what may stand side by side."""
    taken: dict[str, str] = {}
    for name, kind in wished:
        if "*." not in name.partition(".")[2] and not (name.startswith("*") and kind == "NS"):
            taken.setdefault(name, kind)
    return tuple(RecordSet(name, kind, 60, (DATA[kind],)) for name, kind in taken.items())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS), max_size=6).map(consistent), st.lists(NAMES, min_size=1, max_size=5))
@example(consistent([("*." + ZONE, "TXT")]), ["*.a." + ZONE])  # a question with a star, answered by a wildcard above it
def test_every_answer_of_any_zone_can_be_proven(records: tuple[RecordSet, ...], questions: list[str]) -> None:
    with authority(*records) as made:
        apex = dns.name.from_text(ZONE)
        shown = ask(made, ZONE, "DNSKEY")
        keyset = pick(shown.answer, apex, RdataType.DNSKEY)
        assert keyset is not None
        for question in [*questions, *(r.name for r in records)]:
            if "*" in question[1:]:
                continue
            for kind in (RdataType.TXT, RdataType.A, RdataType.DS):
                assert_proven(ask(made, question, dns.rdatatype.to_text(kind)), question, kind, {apex: keyset})


def assert_proven(
    found: dns.message.Message, question: str, kind: RdataType, keys: dict[dns.name.Name, dns.rrset.RRset]
) -> None:
    name = dns.name.from_text(question)
    proofs = denial.read(found.authority)
    for rrset in (*found.answer, *found.authority):
        referral = rrset.rdtype == RdataType.NS and rrset in found.authority
        if rrset.rdtype != RdataType.RRSIG and not referral:
            section = found.answer if rrset in found.answer else found.authority
            assert fault(section, rrset, keys) == ""
    if not found.flags & dns.flags.AA:
        cut = next(r.name for r in found.authority if r.rdtype == RdataType.NS)
        assert denial.unsigned_below(proofs, cut)
        assert cut != name or kind != RdataType.DS, "the DS at a cut is the parent's to answer"
    elif found.rcode() == dns.rcode.NXDOMAIN:
        assert denial.name_absent(proofs, name)
    elif not found.answer:
        assert denial.type_absent(proofs, name, kind)
    else:
        signature = pick(found.answer, name, RdataType.RRSIG, covers=found.answer[0].rdtype)
        assert signature is not None
        by_wildcard = signature[0].labels < len(name.labels) - 1 - name.is_wild()
        assert not by_wildcard or denial.expanded(proofs, name, signature[0].labels)


def test_a_change_costs_the_signatures_of_what_it_changed() -> None:
    with authority(*(RecordSet(f"n{n}.{ZONE}", "TXT", 60, ('"x"',)) for n in range(20))) as made:
        before = dict(served(made).signatures)
        made.apply(ZONE, (Change(f"n5.{ZONE}", "TXT", 60, ('"y"',)),))
        after = served(made).signatures
        changed = {
            (str(name), dns.rdatatype.to_text(kind))
            for (name, kind) in after
            if before.get((name, kind)) is not after[name, kind]
        }
        assert changed == {(ZONE, "SOA"), (f"n5.{ZONE}", "TXT")}


def test_signatures_are_renewed_long_before_they_end_and_not_earlier() -> None:
    clock = Clock()
    with authority(clock=clock) as made:
        first = served(made)
        made.sign_again()
        assert served(made) is first
        clock.now += RENEWED_AFTER + timedelta(minutes=1)
        made.sign_again()
        again = served(made)
        assert again.zone.serial == first.zone.serial + 1
        begun = {signature[0].inception for signature in again.signatures.values()}
        assert min(begun) > int(NOON.timestamp())


@pytest.mark.parametrize(
    ("owner", "after", "name", "covers"),
    [
        ("a.test.", "c.test.", "b.test.", True),
        ("a.test.", "c.test.", "a.test.", False),
        ("a.test.", "c.test.", "c.test.", False),
        ("a.test.", "c.test.", "d.test.", False),
        ("y.test.", "test.", "z.test.", True),
        ("y.test.", "test.", "b.test.", False),
        ("test.", "test.", "b.test.", True),
    ],
)
def test_a_record_of_the_chain_covers_what_lies_between(owner: str, after: str, name: str, *, covers: bool) -> None:
    names = [dns.name.from_text(text) for text in (owner, after)]
    proof = denial.Nsec(names[0], names[1], frozenset({RdataType.TXT}))
    assert proof.covers(dns.name.from_text(name)) is covers


def test_the_parents_record_of_a_cut_says_nothing_about_what_lies_below() -> None:
    cut = denial.Nsec(dns.name.from_text("a.test."), dns.name.from_text("c.test."), frozenset({RdataType.NS}))
    assert not cut.covers(dns.name.from_text("www.a.test."))
    assert not denial.type_absent([cut], dns.name.from_text("a.test."), RdataType.A)
    assert denial.type_absent([cut], dns.name.from_text("a.test."), RdataType.DS)


def served(made: Authority):  # type: ignore[no-untyped-def]
    found = made.served(dns.name.from_text(ZONE))
    assert found is not None
    return found
