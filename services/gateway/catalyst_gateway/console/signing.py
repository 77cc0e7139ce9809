"""Signing in and out: by the provider, or, in development, by the code that `catalyst dev` prints."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from litestar.response import Redirect

from ..providers import SignInRejected
from ..sessions import CodeRejected, LoginUnavailable
from .faults import NONE, Faults
from .visits import Shown, Visit, action, page

_STATE = "__Host-catalyst-sign-in"
"""Cookie of a browser on its way to the provider: whoever comes back is the one who went."""


@page("/console/sign-in", is_open=True)
async def sign_in(at: Visit) -> Shown:
    """Where nobody is known yet."""
    return _form(at, NONE)


@action("/console/sign-in/code", is_open=True)
async def signed_in(at: Visit) -> Shown:
    """The code of development, taken."""
    try:
        cookie = await at.sessions.sign_in(at.form.get("code", ""), at.request.headers.get("user-agent", ""))
    except (CodeRejected, LoginUnavailable) as refused:
        said = refused.sentence
        return _form(at, Faults(said, "", {"code": said}))
    return _with(at.go(_inside(at.form.get("next", ""))), cookie)


@page("/console/sign-in/go", is_open=True)
async def going(at: Visit) -> Shown:
    """To the provider. Raises ProviderAway, SignInRejected."""
    if at.sessions.provider is None:
        raise SignInRejected(why="no provider is configured")
    elsewhere = at.sessions.provider.origin_unlike(at.request.headers.get("host", ""))
    if (
        elsewhere and "moved" not in at.query
    ):  # once: behind a proxy that changes the host no browser ever seems to be there
        query = urlencode({"next": _inside(at.query.get("next", "")), "moved": "1"})
        return Redirect(f"{elsewhere}/console/sign-in/go?{query}", status_code=303)
    to = await at.sessions.provider.going()
    row = {"state": to.state, "verifier": to.verifier, "nonce": to.nonce, "next": _inside(at.query.get("next", ""))}
    async with at.work.transaction() as tx:
        await tx.begin_sign_in({**row, "created_at": datetime.now(UTC)})
    cookie = f"{_STATE}={to.state}; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"
    return _with(Redirect(to.url, status_code=303), cookie)


@page("/console/sign-in/back", is_open=True)
async def back(at: Visit) -> Shown:
    """Back from the provider. Raises ProviderAway, SignInRejected; Unauthenticated for a token that daemons would not take."""
    state = at.query.get("state", "")
    if at.sessions.provider is None or not state or at.request.cookies.get(_STATE) != state:
        raise SignInRejected(why="it was not begun in this browser")
    async with at.work.transaction() as tx:
        begun = await tx.end_sign_in(state)
    if begun is None:
        raise SignInRejected(why="it took too long, or was done already")
    if "code" not in at.query:
        raise SignInRejected(why=f"the provider says {at.query.get('error', 'nothing')[:60]}")
    tokens = await at.sessions.provider.tokens(at.query["code"], verifier=begun["verifier"], nonce=begun["nonce"])
    caller = await at.callers.person(tokens.access)
    cookie = await at.sessions.open(tokens, caller.subject, at.request.headers.get("user-agent", ""))
    return _with(at.go(begun["next"]), cookie)


@action("/console/sign-out", is_open=True)
async def signed_out(at: Visit) -> Shown:
    """Here, or in every browser of this person."""
    cookie = await at.sessions.sign_out(at.request, everywhere=bool(at.form.get("everywhere")))
    return _with(at.go("/console/sign-in"), cookie)


def _form(at: Visit, faults: Faults) -> Shown:
    return at.show(
        "sign_in.html",
        title="Sign in",
        status=401 if faults else 200,
        faults=faults,
        next=_inside(at.form.get("next") or at.query.get("next", "")),
        by_code=at.sessions.takes_codes,
        by_provider=at.sessions.provider is not None,
    )  # fmt: skip - one call


def _with(answer: Response[Any], cookie: str) -> Shown:
    answer.headers["Set-Cookie"] = cookie
    return answer


def _inside(path: str) -> str:
    """A path of the console; whoever sends a person elsewhere through our sign-in gets them to its start."""
    return path if path.startswith("/console") and "//" not in path and "\\" not in path else "/console"


PAGES = (sign_in, signed_in, going, back, signed_out)
