"""Blueprint objects: read by the source of their cluster, and told what became of them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from catalyst_catalog.app import CLUSTER, configure
from catalyst_catalog.controllers import owned
from catalyst_catalog.domain.sources import Scope, Source
from catalyst_catalog.domain.trust import Policy, Requirement
from catalyst_testkit import eventually

from lib.kube.tests.memory import MOST_WRITES, SAMPLES, ClusterInMemory, reconciling

from .asking import Start
from .makers import write


@contextmanager
def serving(objects: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What an API server answers about Blueprints; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2]
            whole: Any = {"metadata": {}, "items": list(objects.values())} if name == "blueprints" else objects[name]
            body = json.dumps(whole).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_an_object_is_published_or_told_what_stands_against_it(start: Start, home: Any) -> None:
    write(home / "blueprints", "bp-public")
    document = yaml.safe_load((home / "blueprints" / "public" / "blueprint.yaml").read_text())
    cluster = ClusterInMemory("Blueprint")
    objects: dict[str, dict[str, Any]] = {}

    def put(name: str, **spec: Any) -> None:
        sample = dict.fromkeys(SAMPLES["blueprint"]["spec"])
        cluster.put(name, **{**sample, **document["spec"], **spec})
        cluster.annotate(name, no_upstream="true")
        objects[name] = cluster.one(name)

    with serving(objects) as url:
        async with start(plugins={"blueprint_source:kubernetes": {"url": url}}) as daemon:
            policy = Policy(Requirement.OPTIONAL, Requirement.OPTIONAL)
            wanted = Source(CLUSTER, "kubernetes", Scope.SOVEREIGN, {}, interval=timedelta(hours=1), trust=policy)
            await configure(daemon.daemon.work, wanted)
            servicers = {each.name.rpartition(".")[2]: each.servicer for each in daemon.daemon.services}
            put("bp-shop")
            put("bp-public")
            put("bp-wrong", depends=[{"blueprint": "bp-shop", "version": "no range"}])
            async with reconciling(cluster, *owned(servicers, f"sources/{CLUSTER}")) as wrong:
                await eventually(lambda: cluster.condition("bp-shop", "Published") == "True Published", within=60)
                assert cluster.status("bp-shop")["ociDigest"].startswith("sha256:")
                assert cluster.written("bp-shop") <= MOST_WRITES
                await eventually(lambda: cluster.condition("bp-public", "Published") == "False NameTaken", within=60)
                await eventually(lambda: cluster.condition("bp-wrong", "Published").startswith("False"), within=60)
                assert cluster.status("bp-wrong")["phase"] == "Draft"
                put("bp-public", version="9.9.9")  # now that a sync has found it out, and not only whose the name is
                await eventually(lambda: cluster.status("bp-public")["observedGeneration"] == 2, within=60)
                assert cluster.condition("bp-public", "Published") == "False NameTaken"
                assert wrong == []
