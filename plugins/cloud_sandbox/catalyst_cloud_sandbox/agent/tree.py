"""Watching the tree: a cheap look at the repository's references, and a pull only when they changed."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .identity import Tree
from .memory import Claim
from .releases import Wish
from .workloads import Wished, Workloads

LIMIT = 60.0
"""Seconds for a pull."""
LOOK_LIMIT = 5.0
LARGEST_ANSWER = 4 * 1024 * 1024


class NotPulled(Exception):
    """The tree could not be pulled or used; the sentence is for people."""


async def look(tree: Tree) -> str:
    """Changes whenever the repository's references may have changed. Raises NotPulled.

    A plain request instead of a Git client, which would cost ten megabytes. Only what the address answers counts, so a
    proxy in between does no harm.
    """
    url = urlsplit(tree.url)
    if url.scheme != "http" or not url.hostname:
        return os.urandom(8).hex()  # no cheap look: pull each time
    login = base64.b64encode(f"{tree.username}:{tree.password}".encode()).decode()
    request = (
        f"GET {url.path.rstrip('/')}/info/refs?service=git-upload-pack HTTP/1.0\r\nHost: {url.netloc}\r\n"
        + (f"Authorization: Basic {login}\r\n" if tree.username else "")
        + "\r\n"
    )
    try:
        async with asyncio.timeout(LOOK_LIMIT):
            answer = await _ask(url.hostname, url.port or 80, request.encode())
    except (OSError, TimeoutError) as error:
        raise NotPulled(f"{url.hostname}:{url.port or 80} does not answer: {type(error).__name__}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0]
    if b" 200 " not in status + b" ":
        raise NotPulled(f"the repository answers {status.decode('latin-1')!r}")
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a commit wishes."""

    commit: str
    releases: tuple[Wish, ...]
    k3s: str = ""
    claims: tuple[Claim, ...] = ()


async def pull(tree: Tree, folder: Path) -> Pulled:
    """The wished commit and what it holds. Raises NotPulled."""
    found = await _child("fetch", {**asdict(tree), "folder": str(folder)})
    return Pulled(
        found["commit"], _wishes(found["releases"]), found["k3s"], tuple(Claim(**one) for one in found["claims"])
    )


def _wishes(told: Iterable[Mapping[str, Any]]) -> tuple[Wish, ...]:
    return tuple(Wish(**{**one, "depends_on": tuple(one["depends_on"])}) for one in told)


async def _child(module: str, asked: Mapping[str, Any]) -> Any:
    """What a process of its own answers, which has Git and YAML. Raises NotPulled."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"{__package__}.{module}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, problem = await child.communicate(json.dumps(asked).encode())
    except TimeoutError as error:
        raise NotPulled(f"the pull took longer than {LIMIT:g} s") from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGKILL)
    if child.returncode != 0:
        raise NotPulled(problem.decode(errors="replace")[-500:] or f"the pull ended with {child.returncode}")
    return json.loads(out)


async def pull_workloads(hosted: Workloads, folder: Path) -> list[tuple[Wished, tuple[Wish, ...], str]]:
    """What the commits hold that are wished and not here, or why that could not be had. Raises NotPulled."""
    missing = hosted.to_pull()
    asked = {"username": hosted.username, "password": hosted.password, "folder": str(folder)}
    wanted = [
        {"application": w.application, "uid": w.uid, "url": w.url, "branch": w.branch, "commit": w.commit}
        for w in missing
    ]
    found = await _child("fetch_workloads", {**asked, "wanted": wanted})
    return [(one, _wishes(told["releases"]), told["problem"]) for one, told in zip(missing, found, strict=True)]


async def _ask(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        answer = await reader.read(LARGEST_ANSWER)
        while chunk := await reader.read(LARGEST_ANSWER):
            answer += chunk
            if len(answer) > LARGEST_ANSWER:
                raise NotPulled("the list of references is too long")
        return answer
    finally:
        writer.close()
