"""Whose a domain is, who serves it, and what its registry says."""

import pytest
from catalyst_pool_domain_manager.domain.identity import dns_host, nonce, registrable
from catalyst_pool_domain_manager.workers.registry import About, NoRegistry, Rdap
from catalyst_sdk import Temporary
from catalyst_testkit.fake_registrar import FakeAnswer, FakeRegistrar, FakeRequest, serving
from publicsuffixlist import PublicSuffixList

PRIVATE = PublicSuffixList().privatesuffix


@pytest.mark.parametrize(
    ("domain", "own"),
    [("acme.co.uk", "acme.co.uk"), ("www.acme.co.uk.", "acme.co.uk"), ("co.uk", ""), ("3m.com", "3m.com")],
)
def test_what_somebody_registers_is_told_from_what_lies_in_it_and_above_it(domain: str, own: str) -> None:
    assert registrable(domain, PRIVATE) == own


def test_the_present_host_is_known_by_its_name_servers_and_by_no_mixture() -> None:
    assert dns_host(("amy.ns.cloudflare.com.", "bob.ns.cloudflare.com.")) == "Cloudflare"
    assert dns_host(("ns-1.awsdns-01.org.", "ns-2.awsdns-02.co.uk.")) == "Amazon Route 53"
    assert dns_host(("amy.ns.cloudflare.com.", "ns01.domaincontrol.com.")) == ""
    assert dns_host(("ns1.nobody.test.",)) == ""


def test_the_proof_of_one_zone_serves_for_no_other_and_for_no_other_mesh() -> None:
    assert len({nonce(b"a", "one"), nonce(b"a", "two"), nonce(b"b", "one")}) == 3
    assert nonce(b"a", "one") == nonce(b"a", "one")


class FakeRdap(FakeRegistrar):
    """An RDAP server with one domain, in the shapes of RFC 9083."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses = ["Client Update Prohibited", "active"]

    def answer(self, request: FakeRequest) -> FakeAnswer:
        answers = {
            "/rdap/domain/acme.example": FakeAnswer(200, {
                "objectClassName": "domain", "status": self.statuses,
                "entities": [
                    {"roles": ["registrant"], "vcardArray": ["vcard", [["fn", {}, "text", "Somebody"]]]},
                    {"roles": ["registrar"], "vcardArray": ["vcard", [["version", {}, "text", "4.0"],
                                                                      ["fn", {}, "text", "OVH sas"]]]},
                ],
            }),
            "/rdap/domain/odd.example": FakeAnswer(200, "<html>", "text/html"),
            "/rdap/domain/down.example": FakeAnswer(503, {}),
        }  # fmt: skip
        return answers.get(request.path, FakeAnswer(404, {"errorCode": 404}))


async def test_a_registry_tells_registrar_and_locks_and_what_it_does_not_tell_is_unknown() -> None:
    async with serving(FakeRdap()) as fake:
        rdap = Rdap(f"{fake.url}/rdap/")
        assert await rdap.about("acme.example") == About("OVH sas", frozenset({"client update prohibited", "active"}))
        assert await rdap.about("nobody.example") == await NoRegistry().about("acme.example") == About()
        for domain in ("odd.example", "down.example"):
            with pytest.raises(Temporary):
                await rdap.about(domain)
    with pytest.raises(Temporary):
        await rdap.about("acme.example")
