"""Whose a record set is, where a zone has several keepers.

Marks of others, and in a zone that others keep sets in, marks of ours
  heritage   external-dns says by TXT which A, AAAA and CNAME it keeps: below the prefix `_externaldns.`, at the name itself or
             with the type in front of it (`a-www`), readable or encrypted. Whatever stands under such a mark is not ours;
  `_owner`   `_owner.<type>.<name>` names the owner of one set, `_wildcard` standing for `*`.
"""

import re
from collections.abc import Collection, Iterable

from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, Change, RecordSet, text_data
from catalyst_sdk.dns_rules import Key, below

PREFIX = "_externaldns"
OWNER_PREFIX = "_owner"
_KEPT = ("A", "AAAA", "CNAME")
_TYPED = re.compile(r"(a|aaaa|cname|ns|mx|srv|txt)-(.+)")
_HERITAGE = "heritage=external-dns"


def foreign_keys(sets: Iterable[RecordSet], owner: str) -> frozenset[Key]:
    """Sets that somebody else keeps, their marks included.

    owner   whose mark is no stranger's
    """
    found: set[Key] = set()
    for r in sets:
        if r.type != "TXT":
            continue
        head, _, rest = r.name.partition(".")
        if head == PREFIX or (_HERITAGE in "".join(r.records)):
            found.add((r.name, "TXT"))
            found |= _under(rest if head == PREFIX else r.name)
        elif head == OWNER_PREFIX and not _says(r, owner):
            found.add((r.name, "TXT"))
            kind, _, name = rest.partition(".")
            found.add((name.replace("_wildcard.", "*.", 1), kind.upper()))
    return frozenset(found)


def is_mark(name: str, origin: str) -> bool:
    """Whether it is a record by which backends tell whose a zone is, and how new."""
    return name in (below(OWNER_MARK, origin), below(REVISION_MARK, origin))


def is_own_mark(r: RecordSet, owner: str) -> bool:
    """Whether a set is a mark by which others see what is ours."""
    return r.type == "TXT" and r.name.startswith(f"{OWNER_PREFIX}.") and _says(r, owner)


def mark_changes(
    wished: Iterable[Key], known: Collection[RecordSet], owner: str, origin: str, ttl: int
) -> tuple[Change, ...]:  # fmt: skip
    """What makes a zone that others keep sets in say which sets are ours; one that is ours alone says nothing.

    wished   sets that the zone is to hold
    known    what it holds
    """
    ours = {r.name for r in known if is_own_mark(r, owner)}
    is_shared = bool(foreign_keys(known, owner))
    frame = {(origin, "SOA"), (origin, "NS")}
    wanted = {_mark_of(*key) for key in wished if key not in frame} if is_shared else set()
    put = [Change(name, "TXT", ttl, (text_data(f"owner={owner}"),)) for name in sorted(wanted - ours)]
    return (*put, *(Change(name, "TXT") for name in sorted(ours - wanted)))


def _mark_of(name: str, kind: str) -> str:
    star = f"_wildcard.{name[2:]}" if name.startswith("*.") else name
    return f"{OWNER_PREFIX}.{kind.lower()}.{star}"


def _under(name: str) -> set[Key]:
    """What a heritage mark covers; the type in front may also be a part of the name, so both readings count."""
    kept = {(name, kind) for kind in _KEPT}
    if typed := _TYPED.fullmatch(name):
        kept.add((typed[2], typed[1].upper()))
    return kept


def _says(r: RecordSet, owner: str) -> bool:
    return any(text.strip('"').removeprefix("owner=") == owner for text in r.records)
