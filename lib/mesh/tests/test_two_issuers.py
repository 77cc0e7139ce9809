"""Several issuers beside one another: each is believed within its own share only."""

from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Caller, Issuer, KeyFileVerifier
from catalyst_mesh.claims import AGENTS, PEOPLE
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.identity import AGENT_ISSUER
from catalyst_mesh.verifiers import AnyVerifier


def opened(folder: Path, name: str, **options: Any) -> tuple[Issuer, KeyFileVerifier]:
    return Issuer.open(folder / name, name), KeyFileVerifier(folder / name / "jwks.json", issuer=name, **options)


async def test_a_token_of_either_issuer_counts_and_a_stranger_s_does_not(tmp_path: Path) -> None:
    mesh, ours = opened(tmp_path, "mesh")
    own, agents = opened(tmp_path, AGENT_ISSUER, share=AGENTS)
    stranger = Issuer.open(tmp_path / "stranger", "mesh")
    unknown = Issuer.open(tmp_path / "unknown", "unknown")
    verifier = AnyVerifier([ours, agents])
    assert (await verifier.check(mesh.token("person"))).subject == "person"
    assert (await verifier.check(own.token("agent:1", roles=["agent"]))).roles == {"agent"}
    for issuer in (stranger, unknown):
        with pytest.raises(Unauthenticated):
            await verifier.check(issuer.token("person"))
    await verifier.close()


@pytest.mark.parametrize(
    "claimed",
    [{"service": "billing"}, {"roles": ["sovereign-admin"]}, {"roles": ["service:billing"]}, {"groups": ["/acme/org-admin"]}],
    ids=str,
)  # fmt: skip
async def test_an_issuer_of_agents_makes_nobody_a_person_or_a_daemon(tmp_path: Path, claimed: dict[str, Any]) -> None:
    issuer, verifier = opened(tmp_path, AGENT_ISSUER, share=AGENTS)
    with pytest.raises(Unauthenticated, match="may not give"):
        await verifier.check(issuer.token("agent:1", **claimed))


@pytest.mark.parametrize(
    "claimed", [{"service": "billing"}, {"roles": ["agent"]}, {"roles": ["service:billing"]}], ids=str
)
async def test_an_issuer_of_people_makes_nobody_a_daemon_or_an_agent(tmp_path: Path, claimed: dict[str, Any]) -> None:
    issuer, verifier = opened(tmp_path, "people", share=PEOPLE)
    with pytest.raises(Unauthenticated, match="may not give"):
        await verifier.check(issuer.token("ada", **claimed))
    with pytest.raises(Unauthenticated, match="like a daemon"):
        await verifier.check(issuer.token("service:billing"))
    wanted = Caller("ada", roles=frozenset({"billing-admin"}), groups=frozenset({"/acme/org-admin"}))
    assert await verifier.check(issuer.token("ada", roles=["billing-admin"], groups=["/acme/org-admin"])) == wanted
