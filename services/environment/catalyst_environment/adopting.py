"""What a person wrote into a branch that stands behind no gates: it counts as much as what was asked for by RPC.

A changed configuration is planned by the catalog and written on top of the person's commit, as an update is; files beside ours
stay; what cannot be taken over is said in a condition, and our files are ours again with the next write.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import yaml
from catalyst_mesh import Clock, Lease, Work
from catalyst_mesh.journal import Engine, new_id
from catalyst_sdk import Code, Refused

from .catalog import Catalog
from .domain import applications, trees
from .domain.applications import Application, Pin
from .domain.organizations import Organization
from .domain.promotions import Policy
from .repositories import Head, Repositories
from .steps import CHANGE
from .steps.applications import branch_of
from .store import Store


class Adopting:
    """Takes over what stands in Git, one Application at a time."""

    def __init__(
        self, work: Work[Store], engine: Engine, catalog: Catalog, repositories: Repositories, clock: Clock
    ) -> None:
        self._work = work
        self._engine = engine
        self._catalog = catalog
        self._repositories = repositories
        self._clock = clock

    async def look(self, lease: Lease, one: Application) -> None:
        """Take over what somebody wrote since we did."""
        head = await asyncio.to_thread(self._repositories.head, one.org, one.id, branch_of(one))
        if head is None or head.id == one.pin.commit or one.has_refused(head.id):
            return
        files = await asyncio.to_thread(self._repositories.files, one.org, one.id, head.id)
        wish = await self._wish(one, files)
        is_ours = isinstance(wish, Pin) and wish == one.pin and trees.files(one, files) == files
        if isinstance(wish, Refused) and wish.code is Code.UNAVAILABLE:
            return  # the catalog is away: the next round asks again
        await self._work.again(partial(self._take, lease, one, head, wish, is_ours))
        self._engine.wake()

    async def _wish(self, one: Application, files: Mapping[str, bytes]) -> Pin | Refused:
        """The pin that the files ask for."""
        try:
            config = _config(one, files)
            trees.demand_no_secret(config)
            if config == one.pin.config:
                return one.pin
            parent = f"environments/{one.environment}"
            async with self._work.reading() as tx:
                others = [other for other in await tx.applications(one.environment) if other.id != one.id]
                owner = await tx.find(Organization, one.org)
            reused = {alias: f"reuse:{id}" for alias, id in one.aliases.items()}
            parts = await self._catalog.plan(
                parent,
                one.id,
                one.blueprint,
                one.pin.release,
                config,
                reused,
                others,
                limits=owner.plan if owner else "",
            )
        except Refused as refusal:
            return refusal
        if len(parts) > 1:
            return applications.DirectChangeRefused(
                application=one.name, why="it needs Applications that are not there"
            )
        return parts[-1].pin

    async def _take(
        self, lease: Lease, one: Application, head: Head, wish: Pin | Refused, is_ours: bool, tx: Store
    ) -> None:
        await lease.guard(tx.sql)
        held = await tx.find(Application, one.environment, one.id, lock=True)
        policy = await tx.find(Policy, one.environment)
        if held is None or held.version != one.version or (policy is not None and policy.asks):
            return  # somebody asked for something meanwhile, or gates were put up; the next round looks again
        run = new_id(self._clock.now())
        if isinstance(wish, Refused):
            decided = applications.refuse_direct(held, head.id, head.author, str(wish), tx.now)
        elif is_ours:
            decided = applications.notice(held, head.id, head.author, tx.now)
        else:
            decided = applications.change(held, wish, run, tx.now)
        await tx.save(decided.state)
        tx.emit(*decided.events)
        if decided.state.run == run:
            input = {"organization": held.org, "environment": held.environment, "applications": [held.id]}
            by = f"git:{head.author}"
            await self._engine.start_in(tx.sql, CHANGE, subject=held.name, key=run, input=input, by=by, id=run)


def _config(one: Application, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The configuration in `values.yaml`. Raises DirectChangeRefused."""
    try:
        read = yaml.safe_load(files["values.yaml"].decode())
        json.dumps(read, allow_nan=False)
    except (KeyError, ValueError, TypeError, RecursionError, yaml.YAMLError):
        raise applications.DirectChangeRefused(application=one.name, why="values.yaml cannot be read") from None
    if not isinstance(read, dict) or not all(isinstance(key, str) for key in read):
        raise applications.DirectChangeRefused(application=one.name, why="values.yaml is no mapping")
    return read
