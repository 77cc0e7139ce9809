"""Where `catalyst` begins: a mistake ends in a few lines, never in a traceback.

Nothing is imported before `run`, so that Ctrl-C in the first moment is as quiet as later.
"""

import os
import sys
from contextlib import suppress
from typing import TextIO


def run() -> None:
    """Run a command. Exit code: see the reference of the command line."""
    try:
        _prepare()
        _run()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        _let_go()
        sys.exit(1)
    except OSError as error:  # of this machine: a full disk, a folder that may not be read
        what = error.strerror or str(error)
        _tell(f"error: {error.filename}: {what}" if error.filename else f"error: {what}")
        _let_go()
        sys.exit(1)


def _prepare() -> None:
    """Have streams that take whatever is said, in every locale."""
    # A stream that the caller has closed is None, for this process and for those that it starts.
    if sys.stdout is None or sys.stderr is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        sys.stdout = sys.stdout or _stream(nowhere, 1)
        sys.stderr = sys.stderr or _stream(nowhere, 2)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _stream(nowhere: int, number: int) -> TextIO:
    os.dup2(nowhere, number)
    os.set_inheritable(number, True)  # the two may be one already
    return open(number, "w", closefd=False)


def _run() -> None:
    from .failures import Failure
    from .output import err
    from .progress import Detached
    from .tree import build

    try:
        sys.argv[1:] = _in_utf8(sys.argv[1:])
        try:
            build(sys.argv[1] if len(sys.argv) > 1 else "")()
        finally:
            sys.stdout.flush()
    except Failure as failure:
        for line in failure.lines():
            err.print(line, markup=False)
        sys.exit(failure.exit_code)
    except Detached as detached:
        err.print(f"\ndetached; the run goes on. To come back: catalyst run get {detached}", markup=False)
        sys.exit(130)


def _in_utf8(arguments: list[str]) -> list[str]:
    """The arguments as UTF-8, whatever the locale took their bytes for. Raises Failure."""
    from .failures import Failure

    found = []
    for argument in map(os.fsencode, arguments):
        try:
            found.append(argument.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Failure(f"the argument {argument!r} is no UTF-8", exit_code=2) from error
    return found


def _tell(line: str) -> None:
    with suppress(OSError):  # where nothing can be said, the exit code has to do
        print(line, file=sys.stderr, flush=True)


def _let_go() -> None:
    """Forget what could not be written, so that the end of the process does not fail on it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
