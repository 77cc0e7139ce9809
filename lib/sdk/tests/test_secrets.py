"""A secret is shown by `reveal()` and by nothing else."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest
from catalyst_sdk import Secret, SecretRef

CANARY = "canary-4f1d9c"


@dataclass(frozen=True)
class Login:
    user: str
    password: Secret


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda s: f"{s} {s!r} {s!s:>40} {s:x}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031 - this is what is tested
    "in a list": lambda s: str([s, {"k": s}]),
    "in a dataclass": lambda s: repr(Login("me", s)),
    "in an exception": lambda s: repr(ValueError(s)) + str(ValueError(s)),
}
REFUSED: dict[str, Callable[[Secret], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda s: asdict(Login("me", s)),
    "json": json.dumps,
    "iteration": lambda s: list(s),  # type: ignore[call-overload]
    "bytes": lambda s: bytes(s),  # type: ignore[call-overload]
    "hash": hash,
    "set": lambda s: {s},
    "vars": vars,
}


@pytest.mark.parametrize("way", SHOWN)
def test_a_secret_is_not_shown_by(way: str) -> None:
    assert CANARY not in SHOWN[way](Secret(CANARY))


@pytest.mark.parametrize("way", REFUSED)
def test_a_secret_refuses(way: str) -> None:
    with pytest.raises(TypeError) as caught:
        REFUSED[way](Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_reveal_gives_what_was_put_in() -> None:
    assert Secret("ü").reveal() == "ü"
    assert Secret(b"\xff").reveal_bytes() == b"\xff"


def test_secrets_are_equal_by_their_value_and_to_nothing_else() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_reference_may_travel() -> None:
    ref = SecretRef("registrar/token", "2")
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert json.loads(json.dumps(asdict(ref))) == {"name": "registrar/token", "version": "2"}
