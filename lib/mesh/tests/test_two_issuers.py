"""A daemon that trusts an issuer of its own beside the mesh's."""

from pathlib import Path

import pytest
from catalyst_mesh import Issuer
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.identity import AnyVerifier


def test_a_token_of_either_issuer_counts_and_a_stranger_s_does_not(tmp_path: Path) -> None:
    mesh, own, stranger = (Issuer.open(tmp_path / name) for name in ("mesh", "own", "stranger"))
    verifier = AnyVerifier(tmp_path / "mesh" / "jwks.json", tmp_path / "own" / "jwks.json")
    assert verifier.check(mesh.token("person")).subject == "person"
    assert verifier.check(own.token("agent:1", roles=["agent"])).roles == {"agent"}
    with pytest.raises(Unauthenticated):
        verifier.check(stranger.token("person"))
