"""What no state holds: found, imported into a root that is made for it, and deleted by the tool.

Invariants
  ours           what does not carry the labels of its row stays;
  in order       what stands on something else goes before it;
  worth nothing  the state of such a root is never kept: after a death everything is found and imported again.
"""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..cloud_types import Discovered, owned
from . import children, commands
from . import tool as tools
from .changes import planned
from .folders import RunFolder
from .module import TofuModule
from .states import Kept
from .work import TofuWork

if TYPE_CHECKING:
    from ..cloud import LedgerRow


async def sweep(cloud: TofuModule, run: TofuWork, keep: Sequence[str]) -> None:
    """Rows that no state holds: gone if the cloud shows nothing, else imported into a root made for them."""
    left = [row for row in run.rows.values() if row.id not in keep and row.name not in keep]
    if not left:
        return
    found = await _seen(cloud, run, left)
    if found:
        await _take_away(cloud, run, found)
    for row in left:
        await run.drop(row.kind, row.name)


async def _seen(cloud: TofuModule, run: TofuWork, rows: Sequence["LedgerRow"]) -> list[Discovered]:
    """Of these rows what exists and is ours, by id, or by name and labels where no id is known."""
    seen = {(one.kind, one.id): one for one in await _look(cloud, run, rows)}
    ours = {}
    for row in rows:
        for key, one in seen.items():
            same = one.id == row.id if row.id else one.name == row.name
            if same and one.kind == row.kind and owned(row.labels, one.labels):
                ours[key] = one
    return list(ours.values())


async def _look(cloud: TofuModule, run: TofuWork, rows: Sequence["LedgerRow"]) -> list[Discovered]:
    found = list(await cloud.find(names=[(row.kind, row.name) for row in rows], credential=run.credential))
    for labels in {json.dumps(dict(row.labels), sort_keys=True) for row in rows}:
        found += await cloud.discover(labels=json.loads(labels), credential=run.work.credential)
    return found


async def _take_away(cloud: TofuModule, run: TofuWork, found: Sequence[Discovered]) -> None:
    """Import, then delete."""
    folder = RunFolder(run.folder.path.with_name(f"{run.folder.path.name}-leftovers"))
    if (child := children.recorded(folder.path)) is not None:
        await tools.follow(child, folder, heard=tools.quiet, ticked=run.is_over)
        found = await _seen(cloud, run, [row for row in run.rows.values() if _is_among(row, found)])
    await asyncio.to_thread(shutil.rmtree, folder.path, ignore_errors=True)
    if not found:
        return
    sweep = replace(run, folder=folder.make(), kept=Kept(), seals=False, is_ready=False)
    await asyncio.to_thread(sweep.lay_out_root, _root(cloud, found))
    await sweep.carry_out(planned(await sweep.show_plan(commands.plan()), cloud.resource))
    await sweep.carry_out(planned(await sweep.show_plan(commands.plan(destroy=True)), cloud.resource))
    await asyncio.to_thread(folder.shred)


def _root(cloud: TofuModule, found: Sequence[Discovered]) -> Mapping[str, Any]:
    rank = {kind: number for number, kind in enumerate(cloud.standing)}
    resources: dict[str, dict[str, Any]] = {}
    imports: list[dict[str, str]] = []
    below: list[tuple[str, str]] = []
    for number, one in enumerate(sorted(found, key=lambda one: rank.get(one.kind, len(rank)))):
        given = cloud.leftover(one)
        address = f"{given.type}.left_{number}"
        under = [other for other, kind in below if rank.get(kind, len(rank)) < rank.get(one.kind, len(rank))]
        body = {"lifecycle": {"ignore_changes": "all"}, **given.body, "depends_on": under}
        resources.setdefault(given.type, {})[f"left_{number}"] = body
        imports.append({"to": address, "id": one.id})
        below.append((address, one.kind))
    return {"resource": resources, "import": imports}


def _is_among(row: "LedgerRow", found: Sequence[Discovered]) -> bool:
    return any((row.kind, row.name) == (one.kind, one.name) or row.id == one.id for one in found)
