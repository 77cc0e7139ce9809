"""`catalyst webhook …`: addresses that are told what happens to an Organization."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.org.names import organization
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "URL": "url", "TYPES": "types", "STATE": "state", "REASON": "reason"}
SHOWN_ONCE = {**COLUMNS, "SECRET": "drawnSecret"}
DELIVERIES = {"NAME": "name", "TYPE": "type", "STATE": "state", "NEXT": "nextAttemptTime"}
Org = Annotated[str, typer.Argument(help="The Organization; organizations/ may be left out.")]
Webhook = Annotated[str, typer.Argument(help="The webhook, as `catalyst webhook list` names it.")]


def list_webhooks(name: Org, output: Output = Form.TABLE) -> None:
    """List the webhooks of an Organization.

    Examples:

        catalyst webhook list acme
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{organization(name)}/webhooks", "webhooks")
    show(output, {"webhooks": rows}, COLUMNS, rows)


def get(name: Webhook, output: Output = Form.TABLE) -> None:
    """Show one webhook, without its secret.

    Examples:

        catalyst webhook get organizations/acme/webhooks/wh-0123456789abcdef0123
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/{name}"), COLUMNS)


def create(
    name: Org,
    url: Annotated[str, typer.Argument(help="Where events are sent, an https URL.")],
    types: Annotated[
        list[str], typer.Argument(help="Types of events; one with * at its end stands for all that begin so.")
    ],
    output: Output = Form.TABLE,
) -> None:
    """Add a webhook. Its secret is drawn and shown once: hand it to the receiver.

    Examples:

        catalyst webhook create acme https://hooks.acme.example/catalyst 'catalyst.v1.environment.*'
    """
    body = {"url": url, "types": types}
    with Api(context()) as api:
        made = api.post_resource(f"/v1/{organization(name)}/webhooks", body, requestId=new_request_id())
    show(output, made, SHOWN_ONCE)


def update(
    name: Webhook,
    url: Annotated[str | None, typer.Option(help="Where events are sent from now on.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="A type that it hears; say it again for each.")
    ] = None,
    output: Output = Form.TABLE,
) -> None:
    """Change a webhook's address or types.

    Examples:

        catalyst webhook update organizations/acme/webhooks/wh-0123456789abcdef0123 --type 'catalyst.v1.billing.*'
    """
    given: dict[str, Any] = {key: value for key, value in {"url": url, "types": types}.items() if value}
    with Api(context()) as api:
        show(output, api.change(f"/v1/{name}", given, given) if given else api.get(f"/v1/{name}"), COLUMNS)


def delete(
    name: Webhook,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Take a webhook away, with the log of its deliveries.

    Examples:

        catalyst webhook delete organizations/acme/webhooks/wh-0123456789abcdef0123 --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{name}")
        confirm(f"remove the webhook to {held['url']}?", yes=yes)
        api.remove(f"/v1/{name}")
    show(output, {"name": name}, {"NAME": "name"})


def enable(name: Webhook, output: Output = Form.TABLE) -> None:
    """Let a disabled or failing webhook hear again; what waits is sent.

    Examples:

        catalyst webhook enable organizations/acme/webhooks/wh-0123456789abcdef0123
    """
    _asked(name, "enable", output, COLUMNS)


def disable(
    name: Webhook,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Tell a webhook nothing until it is enabled.

    Examples:

        catalyst webhook disable organizations/acme/webhooks/wh-0123456789abcdef0123 --reason 'the receiver moves'
    """
    _asked(name, "disable", output, COLUMNS, reason=reason)


def rotate_secret(name: Webhook, output: Output = Form.TABLE) -> None:
    """Draw another secret, shown once. For 24 hours the one before signs too.

    Examples:

        catalyst webhook rotate-secret organizations/acme/webhooks/wh-0123456789abcdef0123
    """
    _asked(name, "rotateSecret", output, SHOWN_ONCE)


def send_test(name: Webhook, output: Output = Form.TABLE) -> None:
    """Send a webhook an event that says nothing, to try its address.

    Examples:

        catalyst webhook test organizations/acme/webhooks/wh-0123456789abcdef0123
    """
    _asked(name, "test", output, DELIVERIES)


def deliveries(name: Webhook, output: Output = Form.TABLE) -> None:
    """List what was sent, the newest first; `-o json` shows each try with its answer.

    Examples:

        catalyst webhook deliveries organizations/acme/webhooks/wh-0123456789abcdef0123
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{name}/deliveries", "webhookDeliveries")
    show(output, {"webhookDeliveries": rows}, DELIVERIES, rows)


def replay(
    name: Webhook,
    delivery: Annotated[str, typer.Option(help="The one delivery to send again.")] = "",
    since: Annotated[str, typer.Option("--from", help="Beginning of a span, 2026-01-01T00:00:00Z.")] = "",
    until: Annotated[str, typer.Option("--to", help="Its end. Default: now.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Send again what was sent or given up, under the same ids.

    Examples:

        catalyst webhook replay organizations/acme/webhooks/wh-0123456789abcdef0123 --from 2026-01-01T00:00:00Z
    """
    given = {"delivery": delivery, "startTime": since, "endTime": until}
    body = {key: value for key, value in given.items() if value}
    with Api(context()) as api:
        show(output, api.post(f"/v1/{name}:replay", body, once=new_request_id()), {"COUNT": "deliveryCount"})


def _asked(name: str, verb: str, output: Output, columns: dict[str, str], **body: str) -> None:
    with Api(context()) as api:
        show(output, api.post(f"/v1/{name}:{verb}", dict(body), once=new_request_id()), columns)
