"""The description of events is that which the contracts make, and whole."""

import re
from importlib import import_module
from typing import Any

from . import asyncapi
from .access_table import DAEMONS
from .test_readers import HOMES

WHOLE = asyncapi.document()


def test_the_file_says_what_the_contracts_say() -> None:
    assert asyncapi.PAGE.read_text() == asyncapi.text(), "write it anew: python -m tests.contract.asyncapi"


def test_every_event_of_every_daemon_has_one_channel_with_its_message() -> None:
    told = [one.subject for one in asyncapi.events()]
    assert len(told) == len(set(told))
    for name, package in DAEMONS.items():
        for one in import_module(f"{package}.{HOMES.get(name, 'events')}").EMITTED:
            channel = WHOLE["channels"][one.subject]
            assert channel["x-stream"]["name"] == f"CATALYST_{name.upper()}"
            assert channel["description"], one.subject


def test_every_reference_leads_somewhere_and_addresses_are_tokens() -> None:
    assert {ref: _found(ref) for ref in _references(WHOLE)} == dict.fromkeys(_references(WHOLE), True)
    for address in WHOLE["channels"]:
        assert re.fullmatch(r"(catalyst|ws)(\.([A-Za-z0-9_-]+|\{\w+\}))+", address)


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        below = {ref for value in node.values() for ref in _references(value)}
        return below | ({node["$ref"]} if isinstance(node.get("$ref"), str) else set())
    return {ref for value in node for ref in _references(value)} if isinstance(node, list) else set()


def _found(reference: str) -> bool:
    first, second, *rest = reference.removeprefix("#/").split("/")
    return bool((WHOLE[first][second][rest[0]] if rest else WHOLE[first][second]) is not None)
