"""The run folder: everything that a command reads and writes, for nobody else's eyes, and shredded afterwards.

It holds state, plan and variables in clear, so it has mode 0700 and belongs on a file system in memory where there is
one. It stays only where a daemon died, or let go of, a command that had not ended.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import commands
from .children import RECORD, birth

IDENTITIES = "identities.json"
"""What the planned addresses are, for whoever has to read a stream that somebody else began."""
HOLDER = "holder.json"
"""Token and cluster of the command that changes the cloud, for whoever cleans up after a daemon that died."""
TEMPLATES = (".tf", ".tf.json")
PASSING = "plan-"
BASE = "versions.tf"
"""File of every module with its `terraform` and `provider` blocks; roots made for leftovers need it too."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder in which the tool works."""

    path: Path

    def make(self) -> "RunFolder":
        """Create it, empty for all but its owner."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def write(self, name: str, text: str) -> None:
        """A file that only its owner can read, whole or not at all."""
        target = self.path / name
        draft = target.with_name(f".{name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(target)

    def read(self, name: str) -> str:
        """A file's text; empty where there is none."""
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return ""

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def copy_module(self, module: Path) -> None:
        """The root module, with its templates and scripts."""
        for source in _files(module):
            self._copy(module, source)

    def copy_base(self, module: Path) -> None:
        """Of the module all but its resources: what a root of our own making stands on."""
        for source in _files(module):
            if source.name == BASE or not source.name.endswith(TEMPLATES):
                self._copy(module, source)

    def write_imports(self, imports: Mapping[str, str]) -> None:
        """Import blocks, by address; none takes the file away."""
        if imports:
            blocks = [{"to": address, "id": id} for address, id in imports.items()]
            self.write(commands.IMPORTS, json.dumps({"import": blocks}))
        else:
            self.remove(commands.IMPORTS)

    def write_variables(self, variables: Mapping[str, Any]) -> None:
        """The module's variables, but for the sensitive ones."""
        self.write(commands.VARIABLES, json.dumps(variables, sort_keys=True))

    def forget_command(self) -> None:
        """A command has ended and its outcome is kept: take away what would make others wait for it."""
        for name in (RECORD, HOLDER, commands.PLAN, IDENTITIES):
            self.remove(name)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep off whoever would clean up here. Others of the cluster's own calls are let in."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """For cleaning up: False where a call of any process is at work here, or nothing is left."""
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except OSError:
            yield False

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # The folder itself is what is locked: a file for it would stay, and the kernel lets go when a process dies.
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def shred(self) -> None:
        """Overwrite what may be secret, and remove everything."""
        for file in _files(self.path):
            with suppress(OSError):
                if not file.is_symlink() and ".terraform" not in file.parts:
                    file.write_bytes(bytes(file.stat().st_size))
        shutil.rmtree(self.path, ignore_errors=True)

    def _copy(self, module: Path, source: Path) -> None:
        target = self.path / source.relative_to(module)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def module_digest(module: Path) -> str:
    """Of all files of a module, names included."""
    digest = hashlib.sha256()
    for file in _files(module):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(module)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def make_passing(root: Path) -> "RunFolder":
    """A folder for one call of this process, named so that a later process can tell that it died."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return RunFolder(Path(tempfile.mkdtemp(prefix=f"{PASSING}{os.getpid()}-", dir=root)))


def shred_orphans(root: Path) -> None:
    """Folders of calls whose process died in them."""
    for path in root.glob(f"{PASSING}*"):
        pid = int(path.name.removeprefix(PASSING).partition("-")[0])
        if not birth(pid):
            RunFolder(path).shred()


def _files(root: Path) -> Sequence[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


class Tail:
    """Reads a file that somebody else is writing, line by line."""

    LONGEST = 1 << 20
    """Bytes of one line; a longer one is cut, with a mark."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self, *, last: bool = False) -> Iterator[str]:
        """Lines that were completed since the last look; with `last` also one that never was."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                read = file.read()
        except FileNotFoundError:
            return
        self._offset += len(read)
        *whole, self._rest = (self._rest + read).split(b"\n")
        if last and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        for line in whole:
            if line:
                yield _text(line, self.LONGEST)


def _text(line: bytes, longest: int) -> str:
    if len(line) <= longest:
        return line.decode(errors="replace")
    return f"{line[:longest].decode(errors='replace')} … {len(line) - longest} bytes cut"
