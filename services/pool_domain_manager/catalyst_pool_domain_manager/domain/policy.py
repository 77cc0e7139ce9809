"""Policy as data: a base that everybody's pools share, and over it a versioned document of each pool.

Invariants
  only grows   what the base keeps back stays kept back: a document adds labels and patterns, and removes none;
  bounded      a pattern of a document can be matched in no time: it is a row of single characters, with few repeats.
"""

import re
from dataclasses import dataclass, fields
from functools import lru_cache

BASE_RESERVED = frozenset(
    {
        "admin",
        "api",
        "app",
        "catalyst",
        "console",
        "docs",
        "flux",
        "gitea",
        "harbor",
        "imap",
        "k8s",
        "keycloak",
        "mail",
        "openbao",
        "openova",
        "smtp",
        "status",
        "system",
        "vault",
        "vpn",
        "www",
    }
)  # fmt: skip - words
BASE_PATTERNS = (r"ns\d+", r"mx\d+", "autoconfig", "autodiscover", "wpad", "localhost")
BASE_ISSUERS = ("letsencrypt.org",)
MOST_REPEATS = 4
_ATOM = r"(?:[a-z0-9-]|\.|\\d|\[[a-z0-9-]+\])"
_REPEAT = r"(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})"
_WORDS = r"\([a-z0-9-]+(?:\|[a-z0-9-]+)*\)"
_PATTERN = re.compile(f"(?:{_ATOM}{_REPEAT}?|{_WORDS})+")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force in one pool."""

    version: int = 1
    """Version of the pool's document; a refusal tells it beside the rule."""
    shortest: int = 1
    longest: int = 63
    leading_digit: bool = False
    idn: bool = False
    """Whether labels in other scripts are handed out."""
    reserved: frozenset[str] = BASE_RESERVED
    patterns: tuple[str, ...] = BASE_PATTERNS
    most_reservations: int = 5
    """Reservations that one owner may hold without a commit."""
    most_names: int = 50
    """Names that one owner may have."""
    checks_per_second: int = 10
    """Checks of one identity, in the long run."""
    check_burst: int = 20
    """Checks of one identity at once."""
    reservations_per_minute: int = 30
    """Reservations of one identity, at once and in the long run."""
    issuers: tuple[str, ...] = BASE_ISSUERS
    """Who may issue certificates for names below the pool (CAA)."""
    account_uri: str = ""
    """Account at the issuers that alone may ask for them (RFC 8657); empty: any."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The document of one pool: what it says itself. None and empty leave it to the base."""

    version: int = 1
    shortest: int | None = None
    longest: int | None = None
    leading_digit: bool | None = None
    idn: bool | None = None
    reserved: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    most_reservations: int | None = None
    most_names: int | None = None
    checks_per_second: int | None = None
    check_burst: int | None = None
    reservations_per_minute: int | None = None
    issuers: tuple[str, ...] = ()
    account_uri: str | None = None


@lru_cache(maxsize=256)
def merged(rules: Rules, kinds: tuple[str, ...]) -> Policy:
    """The rules in force: the base for what the pool serves, and the pool's document over it."""
    said = {f.name: value for f in fields(rules) if (value := getattr(rules, f.name)) not in (None, ())}
    own = ORGANIZATION if set(kinds) == {"KIND_ORGANIZATION"} else {}
    return Policy(
        **{
            **own,
            **said,
            "reserved": BASE_RESERVED.union(rules.reserved),
            "patterns": tuple(dict.fromkeys((*BASE_PATTERNS, *rules.patterns))),
        }
    )


ORGANIZATION = {"shortest": 2, "longest": 32, "leading_digit": True}
"""What the base says otherwise for names of Organizations."""


def pattern_fault(pattern: str) -> str:
    """Why a pattern is not taken; empty where it is.

    Names are matched while somebody waits, and an unlucky pattern takes a regular-expression engine years. So patterns are
    rows of characters, classes and `(one|another)`; few of these may be repeated, and nothing that holds a repeat.
    """
    if not _PATTERN.fullmatch(pattern):
        return "a pattern is made of a-z, 0-9, -, ., \\d, [classes], (words|others) and repeats of single characters"
    if len(re.findall(f"(?:{_ATOM})({_REPEAT})", pattern)) > MOST_REPEATS:
        return f"a pattern repeats at most {MOST_REPEATS} times"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"it is no pattern: {error}"
    return ""
