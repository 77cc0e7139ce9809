"""Blueprint objects: read by the source of their cluster, and told here what became of them.

The catalogue takes them by its own way (source, inspection, one transaction); this only wishes for a sync where an object is new,
and writes down how it came out.
"""

from datetime import timedelta
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen
from catalyst_kube.daemons import Own, camel, moment

MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
_State = pb.BlueprintVersion.State
_PHASES = {
    _State.STATE_VERIFIED: "Published",
    _State.STATE_DEPRECATED: "Deprecated",
    _State.STATE_YANKED: "Withdrawn",
    _State.STATE_QUARANTINED: "Withdrawn",
}  # fmt: skip - a table
_TAKEN = "NameTaken"


class Blueprints:
    """catalog, sources   the daemon's own services; `source` the resource name of the cluster's source"""

    def __init__(self, ask: Own, catalog: Any, sources: Any, source: str) -> None:
        self._ask = ask
        self._catalog = catalog
        self._sources = sources
        self._source = source

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        if one.get("status", {}).get("observedGeneration") != one["metadata"]["generation"]:
            await self._ask(self._sources.SyncSource, rpc.SyncSourceRequest(name=self._source))
        name, version = one["metadata"]["name"], one["spec"]["version"]
        request = rpc.GetVersionRequest(name=f"blueprints/{name}/versions/{version}")
        held: pb.BlueprintVersion | None = await self._ask.find(self._catalog.GetVersion, request)
        issue = await self._issue(name)
        if issue is not None:
            # Whether the sync found it or the name was looked up before the sync: it is told in one word.
            reason = _TAKEN if issue.reason == "NAME_CLASH" else camel(issue.reason)
            told = Observed("Published", False, reason, f"{issue.field}: {issue.message}".removeprefix(": "))
        elif held is None:
            told = Observed("Published", None, *await self._waits_for())
        elif held.source != self._source:
            told = Observed("Published", False, _TAKEN, f"{held.source} has this name, and goes before")
        else:
            told = Observed("Published", held.state == _State.STATE_VERIFIED, _PHASES.get(held.state, "Draft"))
        return Seen((told,), status_of(held, self._source), MOVING if told.status is None else RESTING)

    async def release(self, one: Object) -> None:
        """Nothing is held for it."""

    async def _waits_for(self) -> tuple[str, str]:
        """Why nothing is known yet: the source was not read since, or cannot be."""
        source: pb.Source = await self._ask(self._sources.GetSource, rpc.GetSourceRequest(name=self._source))
        failed = next((each for each in source.conditions if each.status == 2), None)
        if failed is None:
            return "Syncing", "the source has not been read since"
        return camel(failed.reason), failed.message

    async def _issue(self, ref: str) -> pb.Issue | None:
        """What stands against the object, if anything does."""
        request = rpc.ListIssuesRequest(parent=self._source, page_size=1000)
        found = (await self._ask(self._sources.ListIssues, request)).issues
        return next((each for each in found if each.ref == ref and not each.warning), None)


def status_of(held: pb.BlueprintVersion | None, source: str) -> dict[str, Any]:
    """What the catalogue has of it."""
    if held is None or held.source != source:
        return {"phase": "Draft"}
    return {
        "phase": _PHASES.get(held.state, "Draft"),
        "ociDigest": held.digest,
        **({"publishedAt": moment(held.publish_time)} if held.HasField("publish_time") else {}),
    }
