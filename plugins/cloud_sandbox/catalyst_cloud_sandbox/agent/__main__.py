"""`python -m catalyst_cloud_sandbox.agent --folder DIR`: become the process of the simulated server in DIR.

Takes the server's lock, leaves its starter and returns; a second start while the first lives does nothing.
"""

import argparse
import fcntl
import os
import sys
from pathlib import Path

from .. import processes
from . import identity


def main() -> None:
    """Fork while nothing but the standard library is loaded; gRPC must not be forked."""
    parser = argparse.ArgumentParser(prog="python -m catalyst_cloud_sandbox.agent")
    parser.add_argument("--folder", required=True, type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    lock = processes.take(folder)
    if lock is None:
        return
    if child := os.fork():
        lock.write(str(child).encode())
        lock.flush()
        os._exit(0)
    os.setsid()
    # Never closed by us: the kernel does it when the process ends, highest number last, so that whoever sees the lock
    # free finds the listener gone too.
    fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 512)
    # The stream's encryption is gRPC's own and the pages are plain HTTP: without the ssl module asyncio is 4 MB smaller.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    making = identity.prepare(folder)  # a process that takes as long as the imports below
    from .run import main as run

    run(folder, making)


if __name__ == "__main__":
    main()
