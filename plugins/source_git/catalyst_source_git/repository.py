"""A bare copy of a repository, as shallow as can be, asked by the git command.

What no repository can do to us
  nothing runs     there is no work tree, so no hook, filter or submodule of a repository is ever met, and no configuration
                   but ours is read;
  nothing leaks    a credential stands in the environment of one git process: on no command line, in no file;
  nothing escapes  what is read is read out of objects, so there is no path that could lead anywhere.
"""

import base64
import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalyst_sdk import Permanent, Secret, Temporary

PROVIDER = "git"
PATIENCE = 100.0
"""Seconds for one git command."""
MOST_FILES, LARGEST = 2000, 16 * 1024 * 1024
_NOBODYS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
}
_DENIED = ("authentication failed", "could not read username", "403", "401", "invalid credentials")
_ABSENT = ("not found", "does not appear to be a git repository", "does not exist", "couldn't find remote ref")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a tree."""

    mode: str
    kind: str
    id: str
    path: str

    @property
    def is_file(self) -> bool:
        return self.kind == "blob" and self.mode in ("100644", "100755")

    @property
    def is_link(self) -> bool:
        return self.mode == "120000"


class Repository:
    """The copy of one repository; its calls block, and belong into a thread."""

    def __init__(self, folder: Path, url: str, token: Secret | None) -> None:
        # Whoever shows another credential gets another copy: nobody reads by what somebody else was let in for.
        mark = hashlib.sha256(b"\0".join((url.encode(), token.reveal_bytes() if token else b""))).hexdigest()[:32]
        self._home = folder / mark
        self._url = url
        self._token = token

    def refs(self, pattern: str) -> dict[str, str]:
        """Refs of the far repository that fit, each with its object."""
        lines = self._git("ls-remote", "--refs", self._url, pattern).decode().splitlines()
        return {name: id for id, _, name in (line.partition("\t") for line in lines)}

    def fetch(self, *names: str) -> None:
        """Have the commits behind these refs here, without anything older."""
        if not (self._home / "HEAD").exists():
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._git("init", "--quiet", "--bare", str(self._home))
        specs = [f"+{name}:{_kept(name)}" for name in names]
        words = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", self._url)
        self._git("--git-dir", str(self._home), "fetch", *words, *specs)

    def tree(self, name: str, path: str = "") -> list[Entry]:
        """What lies in a folder of the commit behind a ref that was fetched; empty where there is no such folder."""
        return self._entries("ls-tree", "-z", f"{_kept(name)}:{path}")

    def files(self, tree: str) -> Iterator[tuple[Entry, bytes]]:
        """Every file below a tree, with its content; links too, with what they point to. Raises Permanent(TOO_LARGE)."""
        entries = self._entries("ls-tree", "-r", "-z", tree)
        size = 0
        for entry in entries:
            if entry.kind != "blob":
                continue  # a submodule is somebody else's repository
            content = self._git("--git-dir", str(self._home), "cat-file", "blob", entry.id)
            size += len(content)
            if len(entries) > MOST_FILES or size > LARGEST:
                why = f"more than {MOST_FILES} files or {LARGEST} bytes"
                raise Permanent("TOO_LARGE", why, provider=PROVIDER)
            yield entry, content

    def _entries(self, *words: str) -> list[Entry]:
        done = self._run("--git-dir", str(self._home), *words)
        if done.returncode:
            return []
        found = []
        for line in done.stdout.decode(errors="surrogateescape").split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, kind, id = facts.split()
            found.append(Entry(mode, kind, id, path))
        return found

    def _git(self, *words: str) -> bytes:
        done = self._run(*words)
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = next((line for line in said if line.startswith(("fatal:", "error:", "remote:"))), "it says nothing")
        lower = "\n".join(said).lower()
        if any(word in lower for word in _DENIED):
            raise Permanent("AUTH", f"the repository lets nobody in so: {why}", provider=PROVIDER)
        if any(word in lower for word in _ABSENT):
            raise Permanent("NOT_FOUND", why, provider=PROVIDER)
        raise Temporary(why, provider=PROVIDER)

    def _run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        safe = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "credential.helper=")
        command = ["git", *safe, *words]
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, env=self._environment())
        except subprocess.TimeoutExpired as error:
            raise Temporary(f"git did not end within {PATIENCE:.0f} s", provider=PROVIDER) from error
        except FileNotFoundError as error:
            raise Permanent("CONFIG", "there is no git command on this machine", provider=PROVIDER) from error

    def _environment(self) -> Mapping[str, str]:
        found = {**_NOBODYS, "PATH": os.environ.get("PATH", ""), "GIT_ALLOW_PROTOCOL": "https:http:file", "LC_ALL": "C"}
        if self._token is not None:
            plain = self._token.reveal()
            shown = base64.b64encode((plain if ":" in plain else f"x-access-token:{plain}").encode()).decode()
            found |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self._url}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {shown}",
            }
        return found


def _kept(name: str) -> str:
    """Where a ref of the far repository is kept here."""
    return f"refs/catalyst/{name.removeprefix('refs/')}"
