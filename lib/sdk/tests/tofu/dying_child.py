"""A daemon that is killed while the tool works: `python dying_child.py HOME TOOL`."""

import asyncio
import sys
from pathlib import Path

from catalyst_testkit.cloud_bench import DyingLedger, cluster_request
from catalyst_testkit.files_cloud.bench import FilesBench


async def main(home: str, tool: str) -> None:
    bench = FilesBench(Path(home), tool)
    ledger, plugin = DyingLedger(bench), bench.plugin()
    plan = await plugin.plan(request=cluster_request(bench), work=ledger)
    await plugin.apply(plan=plan, work=ledger)


asyncio.run(main(sys.argv[1], sys.argv[2]))
