"""The page of error reasons is complete and true, and each reason keeps the rules of conventions, section 2."""

import json
import re
import string
from collections import Counter, defaultdict

from catalyst_cli.remedies import NEXT_STEPS
from catalyst_cli.tree import build
from catalyst_mesh.http_statuses import CASES, OF_REASON
from click import Group
from typer.main import get_command

from . import contracts, reasons, remedies
from .reasons import Row

PAGE = contracts.ROOT / "docs" / "reference" / "errors.md"
CODES = "|".join(CASES) + "|NOT_FOUND|ALREADY_EXISTS|RESOURCE_EXHAUSTED|PERMISSION_DENIED|UNAUTHENTICATED"


def table(chapter: str) -> list[list[str]]:
    """The cells of a chapter's table."""
    text = PAGE.read_text().split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_every_reason_of_every_daemon_and_no_other() -> None:
    told = {Row(owner, r[0], r[1], int(r[2])) for owner in reasons.OWNERS for r in table(owner)}
    assert {"missing": reasons.rows() - told, "gone": told - reasons.rows()} == {"missing": set(), "gone": set()}


def test_the_page_has_every_reason_of_our_plugins() -> None:
    assert {(r[1], r[0]) for r in table("plugins")} == reasons.of_plugins()


def test_every_row_says_when_and_what_to_do() -> None:
    short = [r[0] for owner in reasons.OWNERS for r in table(owner) if len(r) != 5 or min(map(len, r[3:])) < 8]
    assert short == []


def codes() -> dict[str, set[str]]:
    """Codes of each reason, in code and in the words of the contracts."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in reasons.rows():
        found[row.reason].add(row.code)
    for file in contracts.files():
        for place in file.source_code_info.location:
            if len(place.path) == 4 and place.path[0] == 6:
                for code, words in re.findall(rf"\b({CODES})\b([^;.]*)", place.leading_comments):
                    for reason in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", words):
                        found[reason].add(code)
    return found


def test_a_reason_has_one_code_in_all_daemons_and_contracts() -> None:
    assert len(codes()) > 150
    assert {reason: found for reason, found in codes().items() if len(found) > 1} == {}


def test_a_contract_names_no_reason_that_nobody_gives() -> None:
    known = {row.reason for row in reasons.rows()} | {reason for _, reason in reasons.of_plugins()}
    unknown = defaultdict(set)
    for rpc, comment in contracts.said_of_methods():
        for _, words in re.findall(rf"\b({CODES})\b([^;.]*)", re.sub(r"\([^)]*\)", "", comment)):
            for reason in set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", words)) - known:
                unknown[reason].add(rpc)
    assert dict(unknown) == {}


def test_reasons_are_short_and_upper_snake() -> None:
    assert [r for r in codes() if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", r) or len(r) > 63] == []


def test_a_reason_with_a_status_of_its_own_is_a_case_of_its_code() -> None:
    known = codes() | {"REGISTRAR_PROTOCOL_MISMATCH": {"UNAVAILABLE"}, "REGISTRAR_UNAVAILABLE": {"UNAVAILABLE"}}
    wrong = {r: s for r, s in OF_REASON.items() if not any(s in CASES.get(code, ()) for code in known.get(r, ()))}
    assert wrong == {}


def test_every_value_of_a_sentence_is_given_where_it_is_made() -> None:
    """A sentence with a `?` in it helps nobody."""
    kinds = reasons.refusals()
    needed = {
        kind.__name__: {name for _, name, _, _ in string.Formatter().parse(kind.message) if name}
        for kind in kinds
        if "__init__" not in vars(kind)
    }
    twice = {name for name, times in Counter(kind.__name__ for kind in kinds).items() if times > 1}
    wrong = [
        (str(file.relative_to(contracts.ROOT)), name, sorted(needed[name] - given))
        for file, name, given in reasons.raised()
        if name in needed and name not in twice and not needed[name] <= given
    ]
    assert wrong == []


def test_what_a_command_says_to_do_is_what_the_page_says() -> None:
    assert remedies.FILE.read_text() == remedies.text(), "run python -m tests.contract.remedies"
    assert len(json.loads(remedies.text())) > 100


def test_a_command_that_is_recommended_is_there() -> None:
    known = {row.reason for row in reasons.rows()}
    assert set(NEXT_STEPS) <= known
    for said in NEXT_STEPS.values():
        for line in re.findall(r"catalyst ([a-z][a-z -]*[a-z])", said):
            words = line.split()
            found = get_command(build(words[0]))
            while words and isinstance(found, Group) and words[0] in found.commands:
                found = found.commands[words.pop(0)]
            assert not isinstance(found, Group) or words == [], (said, words)
