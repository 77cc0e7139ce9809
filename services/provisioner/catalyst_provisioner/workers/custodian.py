"""Writes down what a cloud's tool did after the daemon that had started it died on this machine.

A replica elsewhere that goes on with the run can see neither the tool nor its folder: it waits for the sealed state to say
that the tool has ended. Whoever runs on this machine says so, whosever the run is by now.

Invariants
  same state   the sealed state is changed only if it still is what the tool's holder was read from;
  no race      a folder in which a call is at work is left alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from catalyst_mesh import Sealer, Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure
from catalyst_sdk.tofu import TofuCloud

from ..domain.naming import CLUSTER_LABEL, SOVEREIGN_LABEL
from ..store import Store
from ..store.clusters import stated

PAUSE = timedelta(seconds=5)


class Custodian:
    """Looks for tools without a daemon."""

    def __init__(self, work: Work[Store], sealer: Sealer, clouds: Sequence[TofuCloud]) -> None:
        self._work = work
        self._sealer = sealer
        self._clouds = clouds
        self._log = get_logger("custodian")

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        while not stop.is_set():
            for cloud in self._clouds:
                try:
                    await self.look(cloud)
                except PluginFailure as failure:
                    self._log.warning("nothing written down", provider=cloud.manifest.provider, why=failure.message)
            await rest(stop, PAUSE.total_seconds())

    async def look(self, cloud: TofuCloud) -> None:
        """Write down all that was left behind."""
        for labels in await cloud.left_behind():
            if await self._write_down(cloud, labels):
                await self._write_down(cloud, labels)  # the folder goes once the state is sealed

    async def _write_down(self, cloud: TofuCloud, labels: Mapping[str, str]) -> bool:
        sovereign, cluster = labels.get(SOVEREIGN_LABEL, ""), labels.get(CLUSTER_LABEL, "")
        async with self._work.reading() as tx:
            row = await tx.cluster(sovereign, cluster)
        old = row.plugin_state if row else None
        there = stated(sovereign, cluster)
        state = await cloud.written_down(labels=labels, state=self._sealer.open(old, there) if old else None)
        if state is None or old is None:
            return False
        seal = partial(self._sealer.seal, state)
        done = await self._work.again(lambda tx: tx.swap_state(sovereign, cluster, old=old, seal=seal))
        if done:
            self._log.info("state written down for a daemon that died", sovereign=sovereign, cluster=cluster)
        return done
