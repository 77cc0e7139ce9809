"""SubscriptionService, as far as subscriptions are read."""

from catalyst.billing.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Work
from catalyst_sdk import Code, Refused

from ..store import Store
from . import convert
from .names import id_of, require_member


class SubscriptionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "there is no subscription {subscription}"


class SubscriptionService(service_pb2_grpc.SubscriptionServiceServicer):
    """What runs from period to period."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def GetSubscription(
        self, request: service_pb2.GetSubscriptionRequest, context: Context
    ) -> resources_pb2.Subscription:
        org = require_member(request.name)
        async with self._work.reading() as tx:
            found = await tx.subscription(org, id_of(request.name))
        if found is None:
            raise SubscriptionNotFound(subscription=request.name)
        return convert.subscription(found)

    async def ListSubscriptions(
        self, request: service_pb2.ListSubscriptionsRequest, context: Context
    ) -> service_pb2.ListSubscriptionsResponse:
        org = require_member(request.parent)
        names = [resources_pb2.Subscription.State.Name(s).removeprefix("STATE_").lower() for s in request.states]
        page = Page.of(request.page_size, request.page_token, request.parent, names)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.subscriptions(org, page, states=names), lambda s: [s.scope, s.id])
        return service_pb2.ListSubscriptionsResponse(
            subscriptions=[convert.subscription(s) for s in cut.rows], next_page_token=cut.next_page_token
        )
