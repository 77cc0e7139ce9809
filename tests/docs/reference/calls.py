"""What each daemon serves and tells: services, methods with their routes and roles, events; as the contracts' comments say."""

import re
from collections.abc import Iterator, Mapping

from catalyst_mesh import Row

from tests.contract import access_table, asyncapi, contracts
from tests.contract.contracts import Rpc

from .words import MADE, prose, table

_HEAD = (
    "# The API of {package}\n\n" + MADE + "\n"
    "Package `catalyst.{package}.v1`. Reasons: [errors](../errors.md); roles: [access](../access.md)."
)  # fmt: skip - one text


def pages() -> Iterator[tuple[str, str]]:
    """A page for each package of contracts."""
    access = {name: dict(found) for name, found in access_table.tables()}
    told = list(asyncapi.events())
    for package in sorted({file.package.split(".")[1] for file in contracts.files()}):
        parts = [_HEAD.format(package=package)]
        for file in contracts.files():
            if file.package.split(".")[1] == package:
                parts += list(_services(file, access.get(package, {})))
        rows = sorted((f"`{one.subject}`", prose(one.comment)) for one in told if one.service == package)
        if rows:
            parts.append("## Events\n\nAs AsyncAPI: [asyncapi.json](../asyncapi.json).\n")
            parts.append(table(("subject", "what happened"), rows))
        if len(parts) > 1:
            yield f"reference/api/{package}.md", "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _services(file: object, access: Mapping[str, Row]) -> Iterator[str]:
    said = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}  # type: ignore[attr-defined] # a descriptor
    known = {rpc.service + "/" + rpc.method.name: rpc for rpc in contracts.rpcs()}
    for n, service in enumerate(file.service):  # type: ignore[attr-defined]
        full = f"{file.package}.{service.name}"  # type: ignore[attr-defined]
        yield f"## {service.name}\n\n{prose(said.get((6, n), ''))}"
        for k, method in enumerate(service.method):
            rpc = known[f"{full}/{method.name}"]
            yield _method(rpc, said.get((6, n, 2, k), ""), access.get(f"{full}/{method.name}"))


def _method(rpc: Rpc, comment: str, row: Row | None) -> str:
    stream = " (stream)" if rpc.method.server_streaming else ""
    lines = [f"### {rpc.method.name}\n", prose(comment) + "\n"]
    if rpc.verb:
        lines.append(f"- REST: `{rpc.verb.upper()} {re.sub('=[^}]*', '', rpc.path)}`")
    takes, answers = (name.rsplit(".", 1)[1] for name in (rpc.method.input_type, rpc.method.output_type))
    lines.append(f"- takes `{takes}`, answers `{answers}`{stream}")
    if row is not None:
        lines.append(f"- roles: {', '.join(sorted(row.roles)) or 'nobody'}; {row.scope}")
    return "\n".join(lines)
