"""`catalyst billing provider`: payment providers, their settings and secrets."""

import json
import re
import sys
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, show, show_one

from . import words

Name = Annotated[str, typer.Argument(help="Provider, such as stripe.")]
COLUMNS = {"PROVIDER": "name", "STATE": "state", "ENABLED": "enabled", "CURRENCIES": "currencies", "SECRETS": "kept"}


def list_providers(output: Output = Form.TABLE) -> None:
    """List payment providers, those whose plugin is missing too.

    Examples:

        catalyst billing provider list
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/providers", "providers")
    show(output, {"providers": rows}, COLUMNS, [_row(row) for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a provider; of a secret only its last four characters.

    Examples:

        catalyst billing provider get stripe -o yaml
    """
    with Api(context()) as api:
        answer = api.get(f"/v1/billing/{words.full('providers', name)}")
    show_one(output, answer, COLUMNS, _row(answer))


def set_provider(
    name: Name,
    config: Annotated[list[str] | None, typer.Option(help="Plain setting as NAME=VALUE; NAME= takes it away.")] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Read secrets as a JSON object from standard input.")
    ] = False,
    clear: Annotated[list[str] | None, typer.Option(help="Secret to take away.")] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether orders can be paid by it.")] = None,
    dry_run: words.DryRun = False,
    output: Output = Form.TABLE,
) -> None:
    """Change what is named of a provider; nothing else is touched. Secrets come from standard input, never as words.

    Examples:

        catalyst billing provider set stripe --config public_key=pk_live_1 --enable

        catalyst billing provider set stripe --secrets < secrets.json
    """
    wish: dict[str, Any] = {"config": {}, "secrets": {}}
    paths = []
    for one in config or ():
        field, sign, value = one.partition("=")
        if not sign:
            raise Failure(f"{one!r} is no setting", next_step="write it as NAME=VALUE", exit_code=2)
        paths.append(f"config.{field}")
        wish["config"] |= {field: _value(value)} if value else {}
    for field, value in _entered(secrets).items():
        wish["secrets"][field] = value if isinstance(value, dict) else {"value": str(value)}
        paths.append(f"secrets.{field}")
    paths += [f"secrets.{field}" for field in clear or ()]
    if enable is not None:
        wish["enabled"] = enable
        paths.append("enabled")
    full = words.full("providers", name)
    with Api(context()) as api:
        answer = api.change(f"/v1/billing/{full}", wish, map(_camel, paths), validateOnly=str(dry_run).lower())
    show(output, answer, COLUMNS, [_row(answer)])


def _entered(wanted: bool) -> dict[str, Any]:
    """Secrets by field: a value, or {value, previousValue}. Raises Failure."""
    if not wanted:
        return {}
    try:
        found = json.load(sys.stdin)
    except ValueError as error:
        raise Failure("standard input is no JSON", next_step='{"secret_key": "sk_…"}', exit_code=2) from error
    if not isinstance(found, dict):
        raise Failure("standard input is no JSON object", next_step='{"secret_key": "sk_…"}', exit_code=2)
    return found


def _camel(path: str) -> str:
    """`secrets.webhook_secret` as masks are written in JSON: `secrets.webhookSecret`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), path)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _row(provider: dict[str, Any]) -> dict[str, Any]:
    kept = [f"{name} …{secret.get('lastFour', '')}" for name, secret in provider.get("secrets", {}).items()]
    return {**provider, "kept": kept}
