"""PolicyService: what an Environment asks for, and what is on its way into it."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Context, Page, Work, caller
from catalyst_mesh.journal import Engine
from catalyst_sdk import Decision

from ..domain import promotions
from ..domain.promotions import Policy, Promotion, PromotionNotFound, Window
from ..promoting import Promoting, policy_of
from ..store import Store
from ..store.pages import place
from . import convert
from .applications import application
from .masks import run, wanted
from .names import ADMINS, DEVELOPERS, READERS, changeable, check_etag, environment, id_of, org_of, require

SETTABLE = frozenset({"required_approvals", "soak", "required_score", "change_windows", "time_zone", "compliance"})


class PolicyService(service_pb2_grpc.PolicyServiceServicer):
    """Policies and promotions."""

    def __init__(self, work: Work[Store], engine: Engine, promoting: Promoting) -> None:
        self._work = work
        self._engine = engine
        self._promoting = promoting

    async def GetPolicy(self, request: rpc.GetPolicyRequest, context: Context) -> pb.Policy:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            held = await environment(tx, request.name)
            return convert.policy(await policy_of(tx, held.id))

    async def UpdatePolicy(self, request: rpc.UpdatePolicyRequest, context: Context) -> pb.Policy:
        org = require(request.policy.name, *ADMINS)
        values = _values(request.policy, wanted(request.update_mask, request.policy, SETTABLE))

        async def step(tx: Store) -> Decision[Policy]:
            await changeable(tx, org)
            held = await policy_of(tx, (await environment(tx, request.policy.name, lock=True)).id, lock=True)
            check_etag(request.etag, held.name, held.version)
            return promotions.set_policy(held, values, tx.now)

        return await run(self._work, step, convert.policy, validate_only=request.validate_only)

    async def CreatePromotion(self, request: rpc.CreatePromotionRequest, context: Context) -> pb.Promotion:
        org, wish, by = require(request.parent, *DEVELOPERS), request.promotion, caller().subject

        async def decide(tx: Store) -> Decision[Promotion]:
            await changeable(tx, org)
            target = await environment(tx, request.parent, lock=True)
            if org_of(wish.source) != org:
                raise promotions.PromotionInvalid(source=wish.source)
            source = await application(tx, f"{wish.source}/applications/{wish.application}")
            return promotions.ask(
                await tx.open_promotions(target.id),
                source,
                target.id,
                id=f"pro-{secrets.token_hex(10)}",
                requester=by,
                now=tx.now,
            )  # fmt: skip - one call

        return await self._advanced(decide, validate_only=request.validate_only)

    async def GetPromotion(self, request: rpc.GetPromotionRequest, context: Context) -> pb.Promotion:
        require(request.name, *READERS)
        async with self._work.reading() as tx:
            held = await _promotion(tx, request.name)
            return convert.promotion(held, await self._promoting.gates(tx, held, tx.now))

    async def ListPromotions(self, request: rpc.ListPromotionsRequest, context: Context) -> rpc.ListPromotionsResponse:
        require(request.parent, *READERS)
        page = Page.of(request.page_size, request.page_token, request.parent)
        async with self._work.reading() as tx:
            await environment(tx, request.parent)
            cut = page.cut(await tx.promotion_page(id_of(request.parent), page), place)
            shown = [convert.promotion(one, await self._promoting.gates(tx, one, tx.now)) for one in cut.rows]
        return rpc.ListPromotionsResponse(promotions=shown, next_page_token=cut.next_page_token)

    async def ApprovePromotion(self, request: rpc.ApprovePromotionRequest, context: Context) -> pb.Promotion:
        by = caller().subject
        return await self._moved(request.name, DEVELOPERS, lambda held, now: promotions.approve(held, by, now))

    async def OverridePromotion(self, request: rpc.OverridePromotionRequest, context: Context) -> pb.Promotion:
        by, why = caller().subject, request.reason
        return await self._moved(request.name, ADMINS, lambda held, now: promotions.override(held, by, why, now))

    async def CancelPromotion(self, request: rpc.CancelPromotionRequest, context: Context) -> pb.Promotion:
        return await self._moved(request.name, DEVELOPERS, promotions.cancel)

    async def _moved(
        self, name: str, roles: tuple[str, ...], move: Callable[[Promotion, datetime], Decision[Promotion]]
    ) -> pb.Promotion:
        org = require(name, *roles)

        async def decide(tx: Store) -> Decision[Promotion]:
            await changeable(tx, org)
            return move(await _promotion(tx, name), tx.now)

        return await self._advanced(decide)

    async def _advanced(self, decide: Callable[[Store], Any], *, validate_only: bool = False) -> pb.Promotion:
        """Decide, and let it pass at once where nothing holds it any more."""
        gates: list[promotions.Gate] = []

        async def step(tx: Store) -> Decision[Promotion]:
            decided: Decision[Promotion] = await decide(tx)
            held, facts = decided.state, decided.events
            if not validate_only:
                await tx.save(held)
                held, more = await self._promoting.advance(tx, held)
                facts = (*facts, *more)
            gates[:] = await self._promoting.gates(tx, held, tx.now)
            return Decision(held, facts)

        answer = await run(self._work, step, lambda held: convert.promotion(held, gates), validate_only=validate_only)
        self._engine.wake()
        return answer


async def _promotion(tx: Store, name: str) -> Promotion:
    held = await tx.promotion(name.split("/")[1], id_of(name))
    if held is None:
        raise PromotionNotFound(promotion=name)
    return held


def _values(given: pb.Policy, paths: frozenset[str]) -> dict[str, Any]:
    """The values to take over, in the domain's words."""
    told: dict[str, Any] = {
        "required_approvals": given.required_approvals,
        "soak": given.soak.ToTimedelta(),
        "required_score": given.required_score,
        "windows": tuple(
            Window(tuple(sorted(set(w.weekdays))), w.start, w.duration.ToTimedelta()) for w in given.change_windows
        ),
        "time_zone": given.time_zone or "UTC",
        "compliance": tuple(map(convert.compliance_rule, given.compliance)),
    }  # fmt: skip - one table
    names = {"change_windows": "windows"}
    return {names.get(path, path): told[names.get(path, path)] for path in paths}
