"""What is remembered of tokens: until when, how many, and that it is not the token."""

from catalyst_mesh import Caller
from catalyst_mesh.claims import LEEWAY
from catalyst_mesh.remembering import Checked, Remembered
from joserfc.jwk import KeySet

KEYS = KeySet([])


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def found(subject: str, until: float = 2_000.0) -> Checked:
    return Checked(Caller(subject), KEYS, "", until)


def test_a_token_is_forgotten_at_the_moment_it_expires() -> None:
    clock = Clock()
    seen = Remembered(clock=clock)
    assert seen.keep("a.b.c", found("ada", until=1_060.0 + LEEWAY)) == Caller("ada")
    clock.now = 1_059.9 + LEEWAY
    assert seen.of("a.b.c") == found("ada", until=1_060.0 + LEEWAY)
    clock.now = 1_060.0 + LEEWAY
    assert seen.of("a.b.c") is None
    clock.now = 1_000.0
    assert seen.of("a.b.c") is None, "a clock that is set back brings nothing back"


def test_of_too_many_the_one_that_nobody_asked_about_goes_first() -> None:
    seen = Remembered(most=2, clock=Clock())
    for name in ("ada", "bob"):
        seen.keep(name, found(name))
    seen.of("ada")
    seen.keep("eve", found("eve"))
    assert [name for name in ("ada", "bob", "eve") if seen.of(name)] == ["ada", "eve"]


def test_an_expiry_beyond_all_numbers_is_a_number() -> None:
    seen = Remembered(clock=Clock())
    seen.keep("late", found("ada", until=10**400))
    seen.keep("never", found("bob", until=float("nan")))
    assert seen.of("late") is not None
    assert seen.of("never") is None, "what is no number has expired"


def test_no_token_stands_in_what_is_kept() -> None:
    seen = Remembered(clock=Clock())
    seen.keep("head.body.signature", found("ada"))
    assert "signature" not in repr(vars(seen))
