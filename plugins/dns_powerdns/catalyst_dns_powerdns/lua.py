"""LUA records: lines that the server evaluates for each question. Only such lines are taken as choose among addresses.

Whoever may write any LUA runs code on the server, so a line is matched with the forms that are known to do no more
(PowerDNS Authoritative Server, "Preset functions"); their parts are addresses, numbers and one address of a probe.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from catalyst_sdk import dns_rules
from catalyst_sdk.dns import Change, RecordSet, ZoneSpec
from catalyst_sdk.dns_rules import Faults, Key

TYPE = "LUA"
ON = ("yes", "true", "1", "shared")
"""Values of `enable-lua-records` with which a server evaluates them."""
_ADDRESS = r"'[0-9a-f:.]{2,45}'"
_LIST = rf"\{{{_ADDRESS}(?:,{_ADDRESS})*\}}"
_SETS = rf"\{{{_LIST}(?:,{_LIST})*\}}"
_WEIGHED = rf"\{{[0-9]{{1,5}},{_ADDRESS}\}}"
_WEIGHTS = rf"\{{{_WEIGHED}(?:,{_WEIGHED})*\}}"
_OPTIONS = r"\{(?:(?:selector|backupSelector)='(?:all|hashed)'|(?:timeout|minimumFailures|interval)=[0-9]{1,3}|,)*\}"
_URL = r"'https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:[/?][A-Za-z0-9._~!$&+,;=:@%/?-]{0,1024})?'"
_LINE = re.compile(
    rf"ifurlup\({_URL},{_SETS},{_OPTIONS}\)|ifportup\([0-9]{{1,5}},{_LIST},{_OPTIONS}\)"
    rf"|pickwhashed\({_WEIGHTS}\)|pickhashed\({_LIST}\)|pickclosest\({_LIST}\)"
)
_CONTENT = re.compile(r'(?:A|AAAA)(?: "[^"\\]{1,255}")+')


def fault(text: str) -> str:
    """Why a line is not taken; empty where it is."""
    if not _CONTENT.fullmatch(text):
        return "a LUA record is A or AAAA, and texts of at most 255 characters"
    code = "".join(re.findall(r'"([^"]*)"', text))
    return "" if _LINE.fullmatch(code) else "a LUA record may only choose among addresses, by a function that is known"


def new_records(spec: ZoneSpec, faults: Faults) -> dict[Key, RecordSet]:
    """As `dns_rules.new_records`, with lines to evaluate among them."""
    plain = tuple(r for r in spec.record_sets if r.type != TYPE)
    records = dns_rules.new_records(replace(spec, record_sets=plain), faults, shared_keys=spec.signed)
    lines = [(n, Change(r.name, TYPE, r.ttl, r.records)) for n, r in enumerate(spec.record_sets) if r.type == TYPE]
    _put(spec.name, records, lines, faults)
    return records


def changed_records(
    origin: str, before: Mapping[Key, RecordSet], changes: tuple[Change, ...], faults: Faults, *, revision: int | None
) -> tuple[dict[Key, RecordSet], frozenset[Key]]:
    """As `dns_rules.changed_records`, with lines to evaluate among them, which come last."""
    plain = tuple(c for c in changes if c.type != TYPE)
    lines = [(n, c) for n, c in enumerate(changes) if c.type == TYPE]
    records, touched = dns_rules.changed_records(origin, before, plain, faults, revision=revision, shared_keys=True)
    _put(origin, records, lines, faults)
    moved = {(c.name, TYPE) for _, c in lines if records.get((c.name, TYPE)) != before.get((c.name, TYPE))}
    return records, touched | moved


def _put(origin: str, records: dict[Key, RecordSet], lines: list[tuple[int, Change]], faults: Faults) -> None:
    for position, change in lines:
        key = (change.name, TYPE)
        wrong = dns_rules.check_place(change.name, origin) or next(filter(None, map(fault, change.records)), "")
        if wrong:
            faults.add(position, wrong)
        elif change.records:
            records[key] = RecordSet(change.name, TYPE, change.ttl, change.records)
        else:
            records.pop(key, None)
    for name in {change.name for _, change in lines if (change.name, TYPE) in records}:
        # The answers of both would be merged.
        if beside := [kind for kind in ("A", "AAAA", "CNAME") if (name, kind) in records]:
            faults.add(-1, f"{name} has a LUA record beside {', '.join(beside)}")
    faults.refuse()
