"""How the daemons' words are shown to people."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_PREFIXES = ("STATE_", "STATUS_", "HEALTH_", "INTENT_", "ACTION_", "SEVERITY_", "KIND_", "LEVEL_", "TRUTH_")
_TONES = {
    "good": (
        "SUCCEEDED",
        "ACTIVE",
        "READY",
        "TRUE",
        "HEALTHY",
        "CANCELLED_CLEAN",
        "UNDONE",
        "VALID",
        "PAID",
        "FULFILLED",
        "APPROVED",
        "CREATED",
        "HELD",
        "COMMITTED",
        "YES",
        "APPLIED",
        "SIGNED",
        "PASS",
        "VERIFIED",
        "DELEGATED",
        "DONE",
        "PASSED",
        "MERGED",
        "ACCEPTED",
        "DELIVERED",
        "OK",
    ),
    "bad": (
        "FAILED",
        "STUCK",
        "UNDO_FAILED",
        "CANCELLED_WITH_LEFTOVERS",
        "FALSE",
        "DEGRADED",
        "REJECTED",
        "EXPIRED",
        "ERROR",
        "CREDENTIALS_REJECTED",
        "INSUFFICIENT",
        "LOST",
        "FAILING",
        "BLOCK",
        "NO",
    ),
    "run": (
        "RUNNING",
        "PROVISIONING",
        "UPDATING",
        "DESTROYING",
        "UNDOING",
        "CANCELLING",
        "IN_DOUBT",
        "INTENDED",
        "DELETING",
        "REVOKING",
        "FULFILLING",
        "INSTALLING",
        "UNINSTALLING",
        "MERGING",
    ),
    "wait": (
        "WAITING",
        "PAUSED",
        "OPEN",
        "WARNING",
        "WARN",
        "PENDING_PAYMENT",
        "READ_ONLY",
        "RESERVED",
        "QUARANTINED",
        "SUSPENDED",
        "PENDING_APPROVAL",
        "AWAITING_PAYMENT",
    ),
}  # fmt: skip - a tone a row
_SORTS = {word: tone for tone, words in _TONES.items() for word in words}


def word(value: object) -> str:
    """An enum's value without its prefix, as people write it: `STATE_CANCELLED_CLEAN` is `cancelled clean`."""
    return bare(value).lower().replace("_", " ")


def sentence(text: str) -> str:
    """What a daemon says, as it stands alone: with a large letter, unless it begins with a name."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def bare(value: object) -> str:
    """An enum's value without its prefix; one without a meaning is empty."""
    text = str(value or "")
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return "" if text == "UNSPECIFIED" else text


def tone(value: object) -> str:
    """`good`, `bad`, `run`, `wait` or `idle`: the colour of a state. The word always stands beside it."""
    return _SORTS.get(bare(value).upper(), "idle")


def leaf(name: object) -> str:
    """The last part of a resource's name."""
    return str(name or "").rpartition("/")[2]


def brief(name: object) -> str:
    """The last part of a name for a narrow column: of an id that a machine drew, its beginning."""
    text = leaf(name)
    return text if len(text) <= 16 else f"{text[:12]}…"


def standing(value: object) -> str:
    """The state of an account, for its colour: what is open there is as it should be, elsewhere it waits for somebody."""
    return "ACTIVE" if bare(value) == "OPEN" else str(value)


def moment(value: object) -> str:
    """An RFC 3339 time for people, in UTC."""
    found = when(value)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found else ""


def when(value: object) -> datetime | None:
    """An RFC 3339 time; None where there is none."""
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None


def seconds(value: object) -> float | None:
    """A protobuf duration, `1.5s`; None where there is none."""
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        return None


def span(value: float | None) -> str:
    """Seconds as people say them: `4 s`, `3 min 20 s`, `2 h 5 min`."""
    if value is None:
        return ""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < 86400:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")
    return f"{whole // 86400} d" + (f" {whole % 86400 // 3600} h" if whole % 86400 >= 3600 else "")


def ago(value: object) -> str:
    """How long ago a time was; `in …` for one to come."""
    found = when(value)
    if found is None:
        return ""
    passed = (datetime.now(UTC) - found).total_seconds()
    about = span(abs(passed)).split(" ")[:2]  # the largest unit: of a time that was, the rest is noise
    return f"{' '.join(about)} ago" if passed >= 0 else f"in {' '.join(about)}"


_DIGITS = {"OMR": 3, "BHD": 3, "KWD": 3, "TND": 3, "JPY": 0}


def money(value: Mapping[str, Any] | None) -> str:
    """An amount in minor units, `{minor, currency}`; empty where it is not known."""
    if not value or not value.get("currency"):
        return ""
    digits = _DIGITS.get(value["currency"], 2)
    minor = int(value.get("minor", 0))
    whole, rest = divmod(abs(minor), 10**digits)
    amount = f"{whole:,}" + (f".{rest:0{digits}d}" if digits else "")
    return f"{'−' if minor < 0 else ''}{amount} {value['currency']}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "word": word, "sentence": sentence, "bare": bare, "tone": tone, "leaf": leaf, "brief": brief, "standing": standing,
    "moment": moment, "ago": ago, "span": span, "seconds": seconds, "money": money,
}  # fmt: skip
