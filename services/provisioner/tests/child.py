"""A provisioner in a process of its own, which kills itself at one point of the journal: `python child.py POINT SETTINGS`.

The point may be a pattern of the shell, where a name in it cannot be known before.

It says so once it serves; SIGKILL leaves nothing of it behind but what it had written.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from catalyst_provisioner.app import compose
from catalyst_provisioner.settings import ProvisionerSettings


class Answers:
    """A console that answers."""

    async def console(self, fqdn: str, ports: Mapping[str, int]) -> Mapping[str, Any]:
        return {"status": 200}


async def main(point: str, values: dict[str, Any]) -> None:
    def die(here: str) -> None:
        if fnmatchcase(here, point):
            os.kill(os.getpid(), signal.SIGKILL)

    daemon = await compose(ProvisionerSettings(**values), die, Answers())
    started = asyncio.Event()
    running = asyncio.create_task(daemon.run(started=started))
    await started.wait()
    sys.stderr.write("serving\n")
    sys.stderr.flush()
    await running


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
