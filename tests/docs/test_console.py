"""What the console says beside its actions is true: each `catalyst` line is a command, each `curl` line a route."""

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer
from catalyst_catalog.domain.linting import lint
from catalyst_cli.tree import build
from catalyst_gateway.app import services
from catalyst_gateway.console import writing
from catalyst_gateway.own import PATHS
from catalyst_gateway.routes import Routes
from typer.main import get_command

from services.gateway.tests import filled
from services.gateway.tests.fake_daemons import fake_daemons
from services.gateway.tests.looking import looking

EVERYBODY = ("sovereign-admin", "security-officer", "billing-admin")
_OWN = {(path.verb, path.template) for path in PATHS} | {("GET", "/v1/plugins")}


def said(page: str) -> Iterator[list[str]]:
    """The lines for a terminal, in words."""
    for line in re.findall(r'<pre tabindex="0" aria-label="(?:catalyst|curl)[^>]*>(.*?)</pre>', page, re.S):
        yield shlex.split(html.unescape(line))


def wrong_command(words: list[str]) -> str:
    """What is wrong with a `catalyst` line; empty where nothing is."""
    command: object = get_command(build())
    rest = words[1:]
    while isinstance(command, typer.core.TyperGroup):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break
        if not rest or rest[0] not in command.commands:
            return f"no such command: {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    parameters = command.params  # type: ignore[attr-defined] # a command of click
    known = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
    if strange := {word for word in rest if word.startswith("--")} - known:
        return f"no such option: {' '.join(words)}: {strange}"
    required = sum(one.param_type_name == "argument" and one.required for one in parameters)
    bare = [
        word for n, word in enumerate(rest) if not word.startswith("--") and not (n and rest[n - 1].startswith("--"))
    ]
    return "" if len(bare) >= required else f"{required} arguments are wanted: {' '.join(words)}"


def wrong_call(words: list[str], routes: Routes) -> str:
    """What is wrong with a `curl` line; empty where nothing is."""
    verb = words[words.index("-X") + 1] if "-X" in words else "GET"
    path = words[-1].partition("?")[0].removeprefix("http://console.test")
    found = routes.find(verb, path) or (verb, path) in _OWN or (verb == "GET" and path.startswith("/v1/operations/"))
    return "" if found else f"no such route: {verb} {path}"


def test_what_the_desk_begins_with_would_be_taken() -> None:
    assert lint({"my-shop": {"blueprint.yaml": writing.START.encode()}}) == []


async def test_every_line_beside_an_action_is_a_command_or_a_route(tmp_path: Path) -> None:
    routes, wrong, seen = Routes(services()), set(), 0
    async with fake_daemons() as daemons, looking(daemons, tmp_path) as look:
        filled.fill(daemons)
        for path in ("/console/sovereigns", *filled.PAGES):
            for words in said((await look.at(path, roles=EVERYBODY)).html):
                seen += 1
                fault = wrong_command(words) if words[0] == "catalyst" else wrong_call(words, routes)
                wrong |= {f"{path}: {fault}"} if fault else set()
    assert seen > 100
    assert sorted(wrong) == []
