"""List filters (AIP-160), of which little is served: what is not served is refused, never ignored."""

from catalyst_sdk import Code, Refused

from ..domain.sovereigns import State


class FilterInvalid(Refused):
    """INVALID_ARGUMENT: a filter that this list does not serve."""

    code, reason = Code.INVALID_ARGUMENT, "FILTER_INVALID"
    message = "filter: {filter} is not served here; {fix}"
    field = "filter"


class NotServed(Refused):
    """What the contract has and this release has not: refused, never ignored."""

    code, reason, message = Code.UNIMPLEMENTED, "CAPABILITY_MISSING", "{capability} is not served by this release"


def states(text: str) -> list[State]:
    """`state = ACTIVE`; without a filter all but what is destroyed."""
    if not text:
        return [s for s in State if s is not State.DESTROYED]
    word = _value(text, "state").removeprefix("STATE_").lower()
    if word not in set(State):
        raise FilterInvalid(filter=text[:100], fix="take `state = ACTIVE`, or another state, or none")
    return [State(word)]


def only_gone(text: str) -> bool:
    """`state = GONE`: what the ledger keeps of things that are no more."""
    if text and _value(text, "state").removeprefix("STATE_") != "GONE":
        raise FilterInvalid(filter=text[:100], fix="take `state = GONE`, or none")
    return bool(text)


def grants(text: str) -> dict[str, str]:
    """`state = ACTIVE`, `cluster = …` or `grantee = …`."""
    if not text:
        return {}
    for key in ("state", "cluster", "grantee"):
        value = _value(text, key)
        if key == "state" and value:
            value = value.removeprefix("STATE_").lower()
            value = value if value in ("active", "revoking", "revoked", "expired") else ""
        if value:
            return {key: value}
    raise FilterInvalid(filter=text[:100], fix="take `state = ACTIVE`, `cluster = …`, `grantee = …`, or none")


def none(text: str) -> None:
    """This list cannot be filtered yet."""
    if text:
        raise FilterInvalid(filter=text[:100], fix="leave it empty")


def _value(text: str, wanted: str) -> str:
    key, sign, value = text.partition("=")
    return value.strip().strip('"') if sign and key.strip() == wanted else ""
