"""`catalyst catalog source …` and `catalyst catalog sync`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.catalog.names import source
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, show, show_one
from catalyst_cli.reading import text_of

COLUMNS = {
    "NAME": "name",
    "KIND": "kind",
    "SCOPE": "scope",
    "STATE": "state",
    "BLUEPRINTS": "blueprintCount",
    "VERSIONS": "versionCount",
    "ISSUES": "openIssueCount",
    "SIGNATURE": "trust.signature",
}
SYNCED = {
    "LISTED": "listedCount",
    "PUBLISHED": "publishedCount",
    "UNCHANGED": "unchangedCount",
    "ISSUES": "issueCount",
    "ORPHANED": "orphanedCount",
}
Name = Annotated[str, typer.Argument(help="The source; sources/ may be left out.")]


def list_sources(output: Output = Form.TABLE) -> None:
    """List the sources that you may see.

    Examples:

        catalyst catalog source list

        catalyst catalog source list --output json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/catalog/sources", "sources")
    show(output, {"sources": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a source, with its state and what it asks of signatures.

    Examples:

        catalyst catalog source get public --output yaml
    """
    with Api(context()) as api:
        show_one(output, api.get(f"/v1/catalog/{source(name)}"), COLUMNS)


def create(
    id: Annotated[str, typer.Argument(help="Name of the new source, such as acme-git.")],
    kind: Annotated[str, typer.Option(help="Its plugin: directory, git, oci_index or another.")],
    config: Annotated[str, typer.Option(help="Its settings as JSON, after the plugin's page.")],
    org: Annotated[str, typer.Option(help="Whose Blueprints they are; none: the Sovereign's.")] = "",
    secret_ref: Annotated[str, typer.Option(help="Name of the secret with its credential.")] = "",
    key: Annotated[list[Path] | None, typer.Option(help="File with a public key that may sign; repeat it.")] = None,
    signer: Annotated[
        list[str] | None, typer.Option(help="Who may sign without a key, `ISSUER SUBJECT`; repeat it.")
    ] = None,
    trusted_root: Annotated[
        Path | None,
        typer.Option(help="Sigstore's trusted_root.json: authorities and logs that stand for such signers."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    request_id: Annotated[str, typer.Option(help="UUID4; repeating it makes the source once.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Make a source; its first sync begins at once.

    Examples:

        catalyst catalog source create acme-git --kind git --org acme --config '{"url": "https://git.example/acme"}'

        catalyst catalog source create site --kind oci_index --config '{"registry": "file:///srv/layout"}' --key cosign.pub

        catalyst catalog source create acme --kind git --config '{}' --signer 'https://oidc.example ci@x' --trusted-root root.json
    """
    body: dict[str, Any] = {"kind": kind, "config": _settings(config), "secretRef": secret_ref}
    body |= {"scope": "SCOPE_ORGANIZATION", "org": f"organizations/{org}"} if org else {"scope": "SCOPE_SOVEREIGN"}
    trust: dict[str, Any] = {"keys": [text_of(path) for path in key]} if key else {}
    if signer:
        trust["identities"] = [_signer(one) for one in signer]
    if trusted_root:
        trust |= _anchors(trusted_root)
    if trust:
        body["trust"] = trust
    query = {"sourceId": id, "requestId": request_id or new_request_id(), "validateOnly": str(dry_run).lower()}
    with Api(context()) as api:
        show(output, api.post_resource("/v1/catalog/sources", body, **query), COLUMNS)


def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Take a source away. What it brought stays in locks and is offered to nobody new.

    Examples:

        catalyst catalog source delete acme-git --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/catalog/{source(name)}")
        confirm(f"take {held['name']} away, with {held.get('blueprintCount', 0)} Blueprint(s)?", yes=yes)
        api.remove(f"/v1/catalog/{held['name']}")
    show(output, {"name": held["name"]}, {"NAME": "name"})


def sync(
    name: Name = "public",
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what is new.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for its end.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Read a source now.

    Examples:

        catalyst catalog sync

        catalyst catalog sync acme-git --full --no-wait
    """
    with Api(context()) as api:
        begun = api.post(f"/v1/catalog/{source(name)}:sync", {"full": full}, once=new_request_id())
        show(output, finish(api, begun, wait=wait), SYNCED)


def _signer(text: str) -> dict[str, str]:
    issuer, _, subject = text.partition(" ")
    if not subject:
        raise Failure(f"--signer {text} names no subject", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return {"issuer": issuer, "subjectPattern": subject.strip()}


def _anchors(path: Path) -> dict[str, list[str]]:
    """What a source is told of Sigstore's trusted root. Keys in the old form of RSA are left out: no log uses them now."""
    try:
        told = json.loads(text_of(path))
        certificates = [c for one in told["certificateAuthorities"] for c in one["certChain"]["certificates"]]
        logs = {"logKeys": told["tlogs"], "certificateLogKeys": told.get("ctlogs", [])}
        keys = {field: [one["publicKey"] for one in held] for field, held in logs.items()}
        return {
            "authorities": _pems("CERTIFICATE", certificates),
            **{
                field: _pems("PUBLIC KEY", [k for k in held if not k.get("keyDetails", "").startswith("PKCS1")])
                for field, held in keys.items()
            },
        }
    except (ValueError, KeyError, TypeError) as error:
        code = EXIT_CODES["INVALID_ARGUMENT"]
        raise Failure(f"{path} is no trusted root of Sigstore", why=repr(error), exit_code=code) from error


def _pems(kind: str, held: list[dict[str, str]]) -> list[str]:
    texts = [f"-----BEGIN {kind}-----\n{one['rawBytes']}\n-----END {kind}-----\n" for one in held]
    return list(dict.fromkeys(texts))


def _settings(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure("--config is no JSON", why=str(error), exit_code=EXIT_CODES["INVALID_ARGUMENT"]) from error
    if not isinstance(found, dict):
        raise Failure("--config is no JSON object", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return found
