"""What belongs to an Organization at its own daemon."""

from collections.abc import Callable, Mapping
from typing import Any

from catalyst.environment.v1 import service_pb2 as environment
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from ..mesh import Mesh
from ..wishes import environment as wishes
from ..wishes.environment import Made
from .thing import Make, Owned, at_once

_PACKAGE = "catalyst.environment.v1"


def _slug(name: str) -> str:
    kind, id, *_ = name.split("/")
    return id if kind == "organizations" else id.rpartition("-")[0]


def _named(request: Any) -> str:
    """The name in a request, wherever it stands."""
    for field in ("organization", "member", "environment", "application", "policy", "webhook"):
        if getattr(getattr(request, field, None), "name", ""):
            return str(getattr(request, field).name)
    return str(getattr(request, "parent", "") or request.name)


def _asked(method: str, made: Made) -> tuple[str, Make]:
    """A question; its mark is the Organization's slug, which stands in every name."""

    async def make(m: Mesh) -> Owned:
        request = await made(m)
        org = _slug(_named(request))
        return Owned(org, request, org)

    return f"{_PACKAGE}.{method}", make


def _of(kind: Callable[..., Message], made: Made, field: str = "name") -> Made:
    async def request(m: Mesh) -> Message:
        return kind(**{field: (await made(m)).name})

    return request


async def _list(m: Mesh) -> Owned:
    org = (await wishes.organization(m)).name.partition("/")[2]
    return Owned(org, environment.ListOrganizationsRequest(q=org), org)


def _operation(kind: Callable[..., Message]) -> Make:
    async def make(m: Mesh) -> Owned:
        held = await wishes.organization(m)
        return Owned(held.name.partition("/")[2], at_once(kind(name=held.operation)), held.operation.rpartition("-")[2])

    return make


async def _policy(m: Mesh) -> Message:
    return environment.GetPolicyRequest(name=f"{(await wishes.made_environment(m)).name}/policy")


async def _overridden(m: Mesh) -> Message:
    return environment.OverridePromotionRequest(name=(await wishes.promotion(m)).name, reason="a test")


async def _disabled(m: Mesh) -> Message:
    """Its webhook takes no test, so that nothing leaves this machine; whoever may ask hears why."""
    name = (await wishes.delivery(m)).name
    return environment.TestWebhookRequest(name=name.partition("/deliveries/")[0])


async def _upgraded(m: Mesh) -> Message:
    held = await wishes.application(m)
    return environment.UpgradeApplicationRequest(name=held.name, blueprint_version="99.0.0")


OWNED: Mapping[str, Make] = dict(
    [
        _asked("OrganizationService/GetOrganization", _of(environment.GetOrganizationRequest, wishes.organization)),
        (f"{_PACKAGE}.OrganizationService/ListOrganizations", _list),
        _asked("OrganizationService/UpdateOrganization", wishes.changed_organization),
        _asked("OrganizationService/DeleteOrganization", wishes.gone_organization),
        _asked("OrganizationService/UndeleteOrganization", wishes.returned_organization),
        (f"{_PACKAGE}.OperationService/RetryOperation", _operation(environment.RetryOperationRequest)),
        ("environment: google.longrunning.Operations/GetOperation", _operation(operations_pb2.GetOperationRequest)),
        ("environment: google.longrunning.Operations/WaitOperation", _operation(operations_pb2.WaitOperationRequest)),
        _asked("MemberService/GetMember", _of(environment.GetMemberRequest, wishes.member)),
        _asked("MemberService/ListMembers", _of(environment.ListMembersRequest, wishes.organization, "parent")),
        _asked("MemberService/UpdateMember", wishes.promoted_member),
        _asked("MemberService/DeleteMember", wishes.gone_member),
        _asked("MemberService/LeaveOrganization", _of(environment.LeaveOrganizationRequest, wishes.organization)),
        _asked("MemberService/TransferOwnership", wishes.new_owner),
        _asked("MemberService/CreateInvitation", wishes.an_invitation),
        _asked("MemberService/GetInvitation", _of(environment.GetInvitationRequest, wishes.invitation)),
        _asked("MemberService/ListInvitations", _of(environment.ListInvitationsRequest, wishes.organization, "parent")),
        _asked("MemberService/ResendInvitation", _of(environment.ResendInvitationRequest, wishes.invitation)),
        _asked("MemberService/RevokeInvitation", _of(environment.RevokeInvitationRequest, wishes.invitation)),
        _asked("EnvironmentService/GetEnvironment", _of(environment.GetEnvironmentRequest, wishes.made_environment)),
        _asked(
            "EnvironmentService/ListEnvironments",
            _of(environment.ListEnvironmentsRequest, wishes.organization, "parent"),
        ),
        _asked("EnvironmentService/CreateEnvironment", wishes.an_environment),
        _asked("EnvironmentService/DeleteEnvironment", wishes.gone_environment),
        (f"{_PACKAGE}.OperationService/CancelOperation", _operation(environment.CancelOperationRequest)),
        _asked("PolicyService/GetPolicy", _policy),
        _asked("PolicyService/UpdatePolicy", wishes.changed_policy),
        _asked("PolicyService/CreatePromotion", wishes.a_promotion),
        _asked("PolicyService/GetPromotion", _of(environment.GetPromotionRequest, wishes.promotion)),
        _asked(
            "PolicyService/ListPromotions", _of(environment.ListPromotionsRequest, wishes.made_environment, "parent")
        ),
        _asked("PolicyService/ApprovePromotion", _of(environment.ApprovePromotionRequest, wishes.promotion)),
        _asked("PolicyService/OverridePromotion", _overridden),
        _asked("PolicyService/CancelPromotion", _of(environment.CancelPromotionRequest, wishes.promotion)),
        _asked("WebhookService/CreateWebhook", wishes.a_webhook),
        _asked("WebhookService/GetWebhook", _of(environment.GetWebhookRequest, wishes.webhook)),
        _asked("WebhookService/ListWebhooks", _of(environment.ListWebhooksRequest, wishes.organization, "parent")),
        _asked("WebhookService/UpdateWebhook", wishes.changed_webhook),
        _asked("WebhookService/DeleteWebhook", wishes.gone_webhook),
        _asked("WebhookService/EnableWebhook", _of(environment.EnableWebhookRequest, wishes.webhook)),
        _asked("WebhookService/DisableWebhook", _of(environment.DisableWebhookRequest, wishes.webhook)),
        _asked("WebhookService/RotateWebhookSecret", _of(environment.RotateWebhookSecretRequest, wishes.webhook)),
        _asked("WebhookService/TestWebhook", _disabled),
        _asked("WebhookService/ReplayWebhook", wishes.replayed_webhook),
        _asked("WebhookService/GetWebhookDelivery", _of(environment.GetWebhookDeliveryRequest, wishes.delivery)),
        _asked(
            "WebhookService/ListWebhookDeliveries",
            _of(environment.ListWebhookDeliveriesRequest, wishes.webhook, "parent"),
        ),
        _asked("ApplicationService/GetApplication", _of(environment.GetApplicationRequest, wishes.application)),
        _asked(
            "ApplicationService/ListApplications",
            _of(environment.ListApplicationsRequest, wishes.made_environment, "parent"),
        ),
        _asked("ApplicationService/PreviewUninstall", _of(environment.PreviewUninstallRequest, wishes.application)),
        _asked("ApplicationService/CreateApplication", wishes.an_application),
        _asked("ApplicationService/UpdateApplication", wishes.changed_application),
        _asked("ApplicationService/UpgradeApplication", _upgraded),
        _asked(
            "ApplicationService/RollbackApplication", _of(environment.RollbackApplicationRequest, wishes.application)
        ),
        _asked("ApplicationService/PauseApplication", _of(environment.PauseApplicationRequest, wishes.application)),
        _asked("ApplicationService/ResumeApplication", _of(environment.ResumeApplicationRequest, wishes.application)),
        _asked("ApplicationService/DeleteApplication", wishes.gone_application),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method."""
