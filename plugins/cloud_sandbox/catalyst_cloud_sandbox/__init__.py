"""A simulated cloud: its resources are rows, its clusters are real processes.

The functions here are what a supervisor such as `catalyst dev` needs; `folder` is the plugin's folder. They import what
they need when they are called, for the sake of the agents, which import this package too.
"""

from pathlib import Path
from typing import Any


def keep(folder: Path) -> list[str]:
    """Start the processes of powered servers that died, end those of servers that are gone; the ids touched."""
    from . import keeper

    return keeper.keep(folder)


def power_off(folder: Path) -> list[str]:
    """Take the power from every account: no process is left when this returns. The store stays."""
    from . import keeper

    return keeper.power_off(folder)


def power_on(folder: Path) -> list[str]:
    """Give the power back; servers that had power of their own run when this returns. Answers their ids."""
    from . import keeper

    return keeper.power_on(folder)


def way_in(folder: Path, *, account: str, cluster: str, region: str) -> tuple[str, int]:
    """Address and port of a cluster's load balancer, made with its network where they are not there yet."""
    from . import keeper

    return keeper.way_in(folder, account=account, cluster=cluster, region=region)


def signal_region(folder: Path, region: str, number: int) -> list[str]:
    """Send a signal to every server process of a region; the ids. What is killed by it is started again by `keep`."""
    from . import keeper

    return keeper.signal_region(folder, region, number)


def power_region(folder: Path, region: str, on: bool) -> list[str]:
    """Take the power from every server of a region as a fallen line does, or give it back; the ids."""
    from . import keeper

    return keeper.power_region(folder, region, on)


def status(folder: Path) -> dict[str, Any]:
    """Plain values: `servers` that are, or should be, processes, and all `resources` of all accounts."""
    from . import keeper

    return keeper.report(folder)
