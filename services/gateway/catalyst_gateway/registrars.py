"""Registrars over REST as people write them: `/v1/registrars/{r}/validate`, `/v1/registrar-accounts`.

Each is one call of the pool-domain manager, and its answer what the contract says, with the last part of the name as `id`.
A credential goes in and never comes out.
"""

import json
from collections.abc import Mapping
from typing import Any

import grpc
from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh.errors import InvalidRequest, explain
from catalyst_sdk import Violation
from google.protobuf.message import Message
from litestar import Request, Response

from . import bodies, conditions
from .bodies import Field
from .names import MOST_BODY, REST, VALIDATE, Asked, Metadata, Path, Told
from .transcode import BodyUnreadable, to_json

Req = Request[Any, Any, Any]
ACCESS = (Field("domain", is_needed=True), Field("credential", dict), Field("account"), Field("token"))
NEW = (
    Field("id", is_needed=True), Field("registrar", is_needed=True), Field("owner"), Field("credential", dict),
    Field("secretRef"),
)  # fmt: skip
CHANGED = (Field("credential", dict), Field("secretRef"))
PATHS = (
    Path("GET", "/v1/registrars", "all", 200, (), ("pageSize", "pageToken")),
    Path("GET", "/v1/registrars/{registrar}", "one"),
    Path("POST", "/v1/registrars/{registrar}/validate", "validate", 200, ACCESS),
    Path("GET", "/v1/registrar-accounts", "accounts", 200, (), ("pageSize", "pageToken")),
    Path("POST", "/v1/registrar-accounts", "create", 201, NEW),
    Path("GET", "/v1/registrar-accounts/{account}", "account"),
    Path("PATCH", "/v1/registrar-accounts/{account}", "change", 200, CHANGED),
    Path("DELETE", "/v1/registrar-accounts/{account}", "delete"),
)


class Registrars:
    """Answers these paths."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._registrars = service_pb2_grpc.RegistrarServiceStub(channel)

    async def answer(
        self, one: Path, variables: Mapping[str, str], request: Req, metadata: Metadata
    ) -> Response[Any]:  # fmt: skip
        """Answer one request. Raises Told for what the daemon refuses."""
        body = await bodies.read(request, MOST_BODY)
        if body and not one.form:
            raise BodyUnreadable(why="this method takes none")
        asked = Asked(request, metadata, variables, bodies.fill(one.form, body) if one.form else {})
        try:
            found: Response[Any] = await getattr(self, one.handler)(asked)
        except grpc.aio.AioRpcError as error:
            said = explain(error)
            if not said.violations:
                raise
            raise Told(said) from error
        return found

    async def all(self, asked: Asked) -> Response[Any]:
        """Every registrar with the form of its credential."""
        wish = service_pb2.ListRegistrarsRequest(page_size=_size(asked), page_token=asked.query("pageToken"))
        answer = await self._registrars.ListRegistrars(wish, timeout=REST, metadata=asked.metadata)
        rows = [_registrar(one) for one in answer.registrars]
        return _json({"registrars": rows, "nextPageToken": answer.next_page_token})

    async def one(self, asked: Asked) -> Response[Any]:
        """One registrar."""
        wish = service_pb2.GetRegistrarRequest(name=f"registrars/{asked.path['registrar']}")
        return _json(_registrar(await self._registrars.GetRegistrar(wish, timeout=REST, metadata=asked.metadata)))

    async def validate(self, asked: Asked) -> Response[Any]:
        """What a credential, a line in the old form, or a stored account can do with a domain."""
        given = [name for name in ("credential", "account", "token") if name in asked.fields]
        if len(given) != 1:
            raise InvalidRequest((Violation("credential", "say one of credential, account and token", "one_of"),))
        wish = service_pb2.ValidateRegistrarAccessRequest(
            name=f"registrars/{asked.path['registrar']}", domain=asked.text("domain").strip().lower().removesuffix(".")
        )
        if "credential" in asked.fields:
            wish.credential.fields.update(_fields(asked))
        elif "account" in asked.fields:
            wish.account = f"registrarAccounts/{asked.text('account').removeprefix('registrarAccounts/')}"
        else:
            wish.token = asked.text("token")
        access = await self._registrars.ValidateRegistrarAccess(wish, timeout=VALIDATE, metadata=asked.metadata)
        actions = [one.user_action for one in access.reasons if one.user_action]
        is_enough = access.valid and access.can_read
        return _json({"valid": is_enough, "access": _of(access), "userAction": actions[0] if actions else ""})

    async def accounts(self, asked: Asked) -> Response[Any]:
        """The accounts that the caller may see."""
        wish = service_pb2.ListRegistrarAccountsRequest(page_size=_size(asked), page_token=asked.query("pageToken"))
        answer = await self._registrars.ListRegistrarAccounts(wish, timeout=REST, metadata=asked.metadata)
        rows = [_account(one) for one in answer.registrar_accounts]
        return _json({"registrarAccounts": rows, "nextPageToken": answer.next_page_token})

    async def create(self, asked: Asked) -> Response[Any]:
        """Store an account."""
        registrar, owner = asked.text("registrar").removeprefix("registrars/"), asked.text("owner")
        wish = service_pb2.CreateRegistrarAccountRequest(
            registrar_account_id=asked.text("id"), request_id=asked.request_id
        )
        wish.registrar_account.registrar = f"registrars/{registrar}"
        wish.registrar_account.owner = f"organizations/{owner}" if owner and "/" not in owner else owner
        wish.registrar_account.secret_ref = asked.text("secretRef")
        wish.registrar_account.credential.update(_fields(asked))
        made = await self._registrars.CreateRegistrarAccount(wish, timeout=REST, metadata=asked.metadata)
        where = {"Location": f"/v1/registrar-accounts/{asked.text('id')}"}
        return _json(_account(made), 201, {**where, **conditions.headers_of(made)})

    async def account(self, asked: Asked) -> Response[Any]:
        """One account."""
        wish = service_pb2.GetRegistrarAccountRequest(name=_name(asked))
        held = await self._registrars.GetRegistrarAccount(wish, timeout=REST, metadata=asked.metadata)
        return _json(_account(held), 200, conditions.headers_of(held))

    async def change(self, asked: Asked) -> Response[Any]:
        """Give it another credential, as a whole."""
        wish = service_pb2.UpdateRegistrarAccountRequest(request_id=asked.request_id)
        wish.registrar_account.name = _name(asked)
        wish.registrar_account.secret_ref = asked.text("secretRef")
        wish.registrar_account.credential.update(_fields(asked))
        conditions.demand(wish, asked.etag)
        held = await self._registrars.UpdateRegistrarAccount(wish, timeout=REST, metadata=asked.metadata)
        return _json(_account(held), 200, conditions.headers_of(held))

    async def delete(self, asked: Asked) -> Response[Any]:
        """Take it away with its credential."""
        wish = service_pb2.DeleteRegistrarAccountRequest(name=_name(asked), request_id=asked.request_id)
        conditions.demand(wish, asked.etag)
        await self._registrars.DeleteRegistrarAccount(wish, timeout=REST, metadata=asked.metadata)
        return _json({})


def _name(asked: Asked) -> str:
    return f"registrarAccounts/{asked.path['account']}"


def _fields(asked: Asked) -> dict[str, str]:
    """The credential's fields. Raises InvalidRequest, which tells no value."""
    given: Mapping[str, Any] = asked.fields.get("credential", {})
    wrong = [
        Violation(f"credential.{name}", "a text is expected", "type") for name in given if not _is_text(given[name])
    ]
    if wrong:
        raise InvalidRequest(tuple(wrong))
    return dict(given)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON may hold halves of characters
        return False
    return True


def _size(asked: Asked) -> int:
    given = asked.query("pageSize") or "0"
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise InvalidRequest((Violation("pageSize", "a whole number is expected", "type"),))
    return int(given)


def _of(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_json(message))
    return found


def _registrar(one: resources_pb2.Registrar) -> dict[str, Any]:
    hint = {"minSeconds": one.delay_min.seconds, "maxSeconds": one.delay_max.seconds}
    return {"id": one.name.removeprefix("registrars/"), **_of(one), "delayHint": hint}


def _account(one: resources_pb2.RegistrarAccount) -> dict[str, Any]:
    return {"id": one.name.removeprefix("registrarAccounts/"), **_of(one)}


def _json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    text = json.dumps(body).encode()
    return Response(text, media_type="application/json", status_code=status, headers=dict(headers or {}))
