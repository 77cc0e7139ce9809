"""The tool: which program it is, and one command of it from start to end."""

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..failures import Permanent, Temporary
from . import children
from .children import Child
from .folders import RunFolder, Tail
from .stream import Diagnostic, Message, UnknownDialect, parse

NAMES = ("tofu", "terraform")
MINIMUM = (1, 7, 0)
"""Oldest version: import blocks with `for_each`."""
LOOK = 0.03
"""Seconds between two looks at a command that runs."""

Heard = Callable[[Message], Awaitable[None]]
Ticked = Callable[[], Awaitable[bool]]
"""Asked at each look: whether the command shall end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `code` None: it was somebody else's child, and nobody can tell."""

    code: int | None
    out: str = field(default="", repr=False)
    errors: tuple[Diagnostic, ...] = ()
    interrupted: bool = False

    @property
    def failed(self) -> bool:
        """Whether it did not do all that it was told: exit code 2 of a plan means that there is something to do."""
        return bool(self.errors) or self.code not in (0, 2, None)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: `tofu` or `terraform`."""

    path: str

    async def run(
        self, folder: RunFolder, argv: Sequence[str], env: Mapping[str, str], *, heard: Heard, ticked: Ticked
    ) -> Outcome:
        """Run a command that changes nothing; it is interrupted if the caller is."""
        child = self._start(folder, argv, env)
        try:
            return await follow(child, folder, heard=heard, ticked=ticked)
        finally:
            child.interrupt()

    async def work(
        self, folder: RunFolder, argv: Sequence[str], env: Mapping[str, str], *, heard: Heard, ticked: Ticked
    ) -> Outcome:
        """Run a command that changes the cloud; it goes on if the caller dies or is cancelled."""
        child = self._start(folder, argv, env, record=True)
        return await follow(child, folder, heard=heard, ticked=ticked)

    def _start(self, folder: RunFolder, argv: Sequence[str], env: Mapping[str, str], *, record: bool = False) -> Child:
        out = folder.path / f"{argv[0]}.out"
        command = [self.path, f"-chdir={folder.path}", *argv]
        return children.start(command, folder=folder.path, env=env, out=out, record=record)


async def follow(child: Child, folder: RunFolder, *, heard: Heard, ticked: Ticked) -> Outcome:
    """Hear a command to its end, whoever started it.

    The last lines are read after its death was seen, so none is missing. Asked to end, it gets one SIGINT and all the
    time that it needs.
    """
    tail, errors, said, interrupted = Tail(folder.path / f"{child.verb}.out"), [], [], False
    while True:
        lives = child.lives
        for line in tail.lines(last=not lives):
            said.append(line)
            message = _parsed(line)
            if isinstance(message, Diagnostic) and message.is_error:
                errors.append(message)
            await heard(message)
        if not lives:
            break
        if await ticked() and not interrupted:
            interrupted = True
            child.interrupt()
        await asyncio.sleep(LOOK)
    if child.code and not errors:
        errors = _plain(folder.read(f"{child.verb}.err"))
    return Outcome(child.code, "\n".join(said), tuple(errors), interrupted)


async def ended(child: Child, is_over: Ticked) -> bool:
    """Wait for a command of somebody else's without touching it. False: the wait was over first."""
    while child.lives:
        if await is_over():
            return False
        await asyncio.sleep(LOOK)
    return True


async def quiet(message: Message) -> None:
    """Hears nothing."""


async def never() -> bool:
    """Lets a command run to its end."""
    return False


async def found(path: str, sha256: str) -> Tool:
    """The program that the configuration names, or the first of NAMES on PATH, with the digest that is pinned.

    Raises Permanent("INVALID").
    """
    program = shutil.which(path) if path else next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        wanted = path or " or ".join(NAMES)
        action = "install OpenTofu, or name the program in the plugin's configuration as `tool`"
        raise Permanent("INVALID", f"{wanted} is not installed", provider_code="tool.missing", user_action=action)
    if sha256:
        await asyncio.to_thread(_verify, program, sha256)
    return Tool(program)


def demand_version(tool: Tool, told: str) -> None:
    """Raises Permanent("INVALID") for a tool that is too old, or tells no version."""
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:3])
    if version < MINIMUM:
        text = f"{tool.path} is {told or 'of an unknown version'}, at least {'.'.join(map(str, MINIMUM))} is needed"
        raise Permanent("INVALID", text, provider_code="tool.version", user_action="install a newer one")


def answer(outcome: Outcome) -> Any:
    """The JSON document that a command printed. Raises Temporary where it is none."""
    try:
        return json.loads(outcome.out)
    except ValueError as error:
        raise Temporary("the tool's answer is no JSON", provider_code="tool.answer") from error


def _verify(program: str, sha256: str) -> None:
    with open(program, "rb") as file:
        have = hashlib.file_digest(file, "sha256").hexdigest()
    if have != sha256.lower():
        text = f"{program} has the SHA-256 {have}, pinned is {sha256}"
        action = "install the pinned version, or pin this one in the plugin's configuration as `tool_sha256`"
        raise Permanent("INVALID", text, provider_code="tool.digest", user_action=action)


def _parsed(line: str) -> Message:
    try:
        return parse(line)
    except UnknownDialect as error:
        return Diagnostic("error", str(error))


def _plain(text: str) -> list[Diagnostic]:
    """What a command without JSON says of its failure, to be shown."""
    return [Diagnostic("error", text.strip()[:4_000])] if text.strip() else []
