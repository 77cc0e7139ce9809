"""Forks daemons from a process that has imported them: a start costs a tenth of a second instead of two.

Each is a process of its own all the same, to be killed, frozen and stopped. The nursery makes no channel, no thread and no
event loop, so a fork finds nothing half-done. It runs by itself, `python -m catalyst_testkit.nursery MODULE …`, and is told
and tells JSON lines. In: `{"program", "args", "env", "log"}`; a program is a module or a path ending in `.py`. Out: `{"pid"}` for
each, and `{"ended", "code"}`. It ends, and its children with it, when its input does.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from typing import Any

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG, prctl(2)."""


def main(modules: list[str]) -> None:
    """Import, then fork as told."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say({"ready": True})
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 64)
            _reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _fork(json.loads(line))


def _fork(told: dict[str, Any]) -> None:
    pid = os.fork()
    if pid:
        _say({"pid": pid})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    _become(told["program"], told["args"], told["env"], told["log"])


def _become(program: str, args: list[str], env: dict[str, str], log: str) -> None:
    """The rest of a child's life."""
    code = 1
    try:
        out, null = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), os.open(os.devnull, os.O_RDONLY)
        for fd, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(fd, target)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = [program, *args]
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            os.write(2, f"{end.code}\n".encode())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(told: dict[str, Any]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
