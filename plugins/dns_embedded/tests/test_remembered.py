"""Answers that are remembered are those that would be made, whatever is changed in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dns.message
import pytest
from catalyst_dns_embedded import server as serving
from catalyst_dns_embedded.authority import Authority
from catalyst_dns_embedded.remembered import MOST, Remembered
from catalyst_dns_embedded.server import DnsServer
from catalyst_dns_embedded.signing import ZoneSigner
from catalyst_dns_embedded.store import ZoneStore
from catalyst_sdk.dns import Change, KeyOp, RecordSet, ZoneSpec
from hypothesis import example, given, settings
from hypothesis import strategies as st

POOL, CHILD = "omani.works.", "acme.omani.works."


@contextmanager
def authority(signed: bool = True) -> Iterator[Authority]:
    with TemporaryDirectory() as home:
        store = ZoneStore(Path(home))
        made = Authority(store, ZoneSigner())
        glue = (RecordSet(f"ns1.{POOL}", "A", 1, ("127.0.0.1",)),)
        made.create(ZoneSpec(POOL, (f"ns1.{POOL}",), "catalyst", glue, signed=signed, ttl=1, negative_ttl=1))
        yield made
        store.close()


def question(name: str, kind: str, number: int, *, dnssec: bool = False) -> bytes:
    return dns.message.make_query(name, kind, id=number, want_dnssec=dnssec).to_wire()


QUESTIONS = [(name, kind) for name in (POOL, f"WWW.{POOL}", CHILD, f"www.{CHILD}") for kind in ("A", "NS", "DNSKEY")]
CHANGES = ("address", "other address", "create", "child's address", "delete", "key", "nothing")


def change(made: Authority, what: str) -> None:
    if what.endswith("address"):
        zone = CHILD if what.startswith("child") else POOL
        if made.get(zone):
            made.apply(zone, (Change(f"www.{zone}", "A", 1, (f"192.0.2.{len(what)}",)),))
    elif what == "create":
        made.create(ZoneSpec(CHILD, (f"ns1.{POOL}",), "acme", ttl=1, negative_ttl=1))
    elif what == "delete":
        made.delete(CHILD, owner="acme")
    elif what == "key":
        made.dnssec(POOL, KeyOp.PUBLISH)


@settings(max_examples=20)
@example(changes=["create", "child's address", "delete"], datagram=True)
@given(st.lists(st.sampled_from(CHANGES), max_size=6), st.booleans())
def test_what_is_remembered_is_what_would_be_made(changes: list[str], datagram: bool) -> None:
    with authority() as made:
        ours, plain = DnsServer(made, remembered=Remembered(made)), DnsServer(made)
        for number, what in enumerate(["nothing", *changes]):
            change(made, what)
            for name, kind in QUESTIONS:
                wire = question(name, kind, number, dnssec=True)
                assert said(ours, wire, datagram) == said(plain, wire, datagram), (what, name, kind)


def said(server: DnsServer, wire: bytes, datagram: bool) -> str:
    """An answer without the order of its records, which is drawn."""
    response = server.respond(wire, datagram=datagram)
    assert response is not None
    return "\n".join(sorted(dns.message.from_wire(response).to_text().splitlines()))


def test_the_same_question_is_answered_once_and_each_time_under_its_own_number(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = []
    answer = serving.answer
    monkeypatch.setattr(serving, "answer", lambda *given_: answered.append(1) or answer(*given_))  # type: ignore[func-returns-value]
    with authority() as made:
        ours = DnsServer(made, remembered=Remembered(made))
        for number in (1, 2, 3):
            response = ours.respond(question(POOL, "SOA", number), datagram=True)
            assert response is not None
            assert dns.message.from_wire(response).id == number
        assert len(answered) == 1


def test_several_addresses_come_in_turn_and_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with authority() as made:
        made.apply(POOL, (Change(f"www.{POOL}", "A", 1, tuple(f"192.0.2.{n}" for n in range(1, 9))),))
        ours = DnsServer(made, remembered=Remembered(made))
        seen = {ours.respond(question(f"www.{POOL}", "A", 7), datagram=True) for _ in range(64)}
        assert len(seen) > 1


def test_of_many_questions_no_more_than_a_few_thousand_are_kept() -> None:
    with authority() as made:
        kept = Remembered(made)
        for number in range(MOST + 7):
            kept.keep(b"\0\0" + number.to_bytes(4), b"\0\0answer", datagram=True)
        assert len(kept._answers) == 7
        kept.keep(b"\0\0long", b"x" * 600, datagram=True)
        assert kept.answer(b"\1\1long", datagram=True) is None
