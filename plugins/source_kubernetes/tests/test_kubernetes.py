"""The source over an API server that a test answers for."""

import json
from copy import deepcopy
from typing import Any

import httpx
import pytest
import yaml
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.source import Location, folder_digest
from catalyst_source_kubernetes.source import KubernetesSource

HERE = Location()


def blueprint(name: str, **spec: Any) -> dict[str, Any]:
    marks = {"catalyst.openova.io/no-upstream": "true", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    metadata = {"name": name, "resourceVersion": "7", "managedFields": [], "annotations": marks}
    return {"metadata": metadata, "spec": {"version": "1.0.0", **spec}, "status": {"phase": "Draft"}}


def source(*objects: dict[str, Any], status: int = 200, page: int = 500) -> KubernetesSource:
    def answer(request: httpx.Request) -> httpx.Response:
        if status != 200:
            return httpx.Response(status)
        if (name := request.url.path.rpartition("/")[2]) != "blueprints":
            found = [one for one in objects if one["metadata"]["name"] == name]
            return httpx.Response(200, json=found[0]) if found else httpx.Response(404)
        start = int(request.url.params.get("continue", 0))
        more = str(start + page) if start + page < len(objects) else ""
        return httpx.Response(200, json={"metadata": {"continue": more}, "items": objects[start : start + page]})

    return KubernetesSource({"url": "https://cluster.example"}, httpx.MockTransport(answer))


async def test_each_object_is_a_folder_whose_digest_was_listed() -> None:
    one = blueprint("bp-valkey", consoleUI={"sidebarEntry": True})
    (ref,) = (await source(one).list(at=HERE)).refs
    assert (ref.path, ref.name) == ("bp-valkey", "valkey")
    artifact = await source(one).fetch(at=HERE, ref=ref)
    assert artifact.digest == ref.digest == folder_digest({"blueprint.yaml": (artifact.files["blueprint.yaml"], False)})
    document = yaml.safe_load(artifact.files["blueprint.yaml"])
    marks = {"catalyst.openova.io/no-upstream": "true"}
    assert document["metadata"] == {"name": "bp-valkey", "annotations": marks}
    assert document["spec"] == {"version": "1.0.0"}


async def test_what_the_cluster_keeps_beside_it_changes_no_digest_and_a_wish_does() -> None:
    one = blueprint("bp-valkey")
    touched, changed = deepcopy(one), blueprint("bp-valkey", visibility="listed")
    touched["metadata"]["resourceVersion"], touched["status"]["phase"] = "8", "Published"
    digests = [(await source(each).list(at=HERE)).refs[0].digest for each in (one, touched, changed)]
    assert digests[0] == digests[1] != digests[2]


async def test_pages_go_on_where_the_last_one_ended() -> None:
    plugin = source(*(blueprint(f"bp-{n}") for n in range(5)), page=2)
    names, cursor = [], ""
    for _ in range(3):
        page = await plugin.list(at=HERE, cursor=cursor)
        names += [ref.path for ref in page.refs]
        cursor = page.next_cursor
    assert (names, cursor) == ([f"bp-{n}" for n in range(5)], "")


@pytest.mark.parametrize(("status", "error"), [(403, Permanent), (404, Permanent), (410, Temporary), (503, Temporary)])
async def test_what_an_api_server_refuses_is_told_as_passing_or_not(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await source(status=status).probe(at=HERE)


async def test_without_an_address_nothing_is_asked() -> None:
    with pytest.raises(Permanent) as refused:
        await KubernetesSource({}).list(at=HERE)
    assert refused.value.reason == "CONFIG"
    assert json.dumps(str(refused.value))
