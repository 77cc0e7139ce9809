"""A Sovereign that has nothing from outside: made with mirrors, and its tree names nothing else."""

import re

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_provisioner.repository import Repositories

from .conftest import Bench, spec

MIRRORS = [
    {"source": "registry.catalyst.invalid", "endpoint": "oci://mirror.acme.example/all"},
    {"source": "docker.io", "endpoint": "https://mirror.acme.example"},
]


async def test_what_an_air_gapped_sovereign_pulls_lies_on_its_mirrors(bench: Bench) -> None:
    (first,) = spec()["clusters"]
    await bench.create(clusters=[first, {**first, "region": "west", "hosts": ["mgt"]}], air_gap={"mirrors": MIRRORS})
    ended = await bench.ended(await bench.apply(await bench.plan()))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    files = Repositories(bench.home / "trees").files("omantel")
    named = {found for content in files.values() for found in re.findall(rb"(?:https?|oci)://([^/\"\\]+)", content)}
    assert named == {b"mirror.acme.example"}
    assert len([path for path in files if path.endswith("config/registries.yaml")]) == 2
