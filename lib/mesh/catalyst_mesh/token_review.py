"""Workloads' tokens: Kubernetes says whose they are (TokenReview, authentication.k8s.io/v1).

Invariants
  theirs only    a token is shown to the API server only if it names the cluster as its issuer: people's never are;
  never longer   an answer is used for at most `MOST_CACHED` seconds, and never past the token's own expiry;
  no answer, no  what the API server does not confirm, or cannot, is refused;
  a few at once  at most `AT_ONCE` questions are under way and `WAITING` more wait; whoever comes beyond that is refused unasked,
                 so that a flood of made-up tokens neither reaches the API server nor pushes known callers out;
  named or none  an account that the table does not name is no daemon, and gets no rights at all.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .calls import Caller
from .claims import ForeignToken, peek
from .errors import Unauthenticated
from .remembering import digest
from .roles import SERVICE
from .verifiers import IssuerUnavailable
from .web import Web, demand_safe

MOST_CACHED = 60.0
"""Seconds for which an answer is used (conventions, section 4)."""
REFUSED_CACHED = 10.0
"""Seconds for which a refusal is: it keeps a broken client from asking the API server at each call."""
MOST_ANSWERS = 2048
"""Answers of each kind that are kept."""
AT_ONCE = 16
WAITING = 256
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass(frozen=True, slots=True)
class _Answer:
    caller: Caller | None
    until: float


class TokenReviewVerifier:
    """Asks the cluster's API server about tokens of ServiceAccounts."""

    def __init__(
        self,
        url: str,
        *,
        web: Web,
        issuer: str,
        audience: str,
        workloads: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Wire it.

        url        the API server
        web        carries this daemon's own token, by which it may ask
        issuer     `iss` of the cluster's tokens, as its API server is configured with
        workloads  `system:serviceaccount:<namespace>:<name>` to the name of a daemon
        clock      seconds since 1970, as in `exp`
        """
        demand_safe(url)
        self._url = f"{url.rstrip('/')}{REVIEW}"
        self._web = web
        self._issuer = issuer
        self._audience = audience
        self._workloads = workloads
        self._clock = clock
        # Apart, so that however many refusals push no caller out.
        self._callers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._refusals: OrderedDict[bytes, _Answer] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(self, token: str) -> Caller:
        """As Verifier."""
        key = digest(token)
        answer = self._callers.get(key) or self._refusals.get(key)
        if answer is None or answer.until <= self._clock():
            claims = peek(token)
            if claims.get("iss") != self._issuer:
                raise ForeignToken(why="its issuer is not known here")
            answer = await self._review_once(key, token, claims.get("exp"))
        if answer.caller is None:
            raise Unauthenticated(why="the cluster does not know it, or its account is no daemon")
        return answer.caller

    async def close(self) -> None:
        """Stop asking."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._web.close()

    async def _review_once(self, key: bytes, token: str, expiry: object) -> _Answer:
        """One question for however many calls that carry the same token."""
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= AT_ONCE + WAITING:
                raise IssuerUnavailable(issuer=self._issuer)
            task = self._asking[key] = asyncio.create_task(self._review(token, expiry), name="token-review")
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            answer = await asyncio.shield(task)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IssuerUnavailable(issuer=self._issuer) from error
        self._keep(key, answer)
        return answer

    async def _review(self, token: str, expiry: object) -> _Answer:
        asked = {"token": token, "audiences": [self._audience]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": asked}
        async with self._turns:
            status = (await self._web.post(self._url, body))["status"]
        now = self._clock()
        # A server that knows nothing of audiences names none: its yes is one to itself, not to us.
        if status.get("authenticated") is not True or self._audience not in status.get("audiences", ()):
            return _Answer(None, now + REFUSED_CACHED)
        account = str(status["user"]["username"])
        service = self._workloads.get(account, "")
        if not service:
            return _Answer(None, now + REFUSED_CACHED)
        until = min(now + MOST_CACHED, float(expiry) if isinstance(expiry, int | float) else now)
        return _Answer(Caller(subject=f"{SERVICE}{service}", service=service), until)

    def _keep(self, key: bytes, answer: _Answer) -> None:
        kept, other = (self._callers, self._refusals) if answer.caller else (self._refusals, self._callers)
        other.pop(key, None)
        kept[key] = answer
        kept.move_to_end(key)
        while len(kept) > MOST_ANSWERS:
            kept.popitem(last=False)
