"""CredentialService: secrets go in and never come out."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, Sealer, Work, caller, sealed_at, stamp
from catalyst_mesh.journal import Engine
from catalyst_sdk import Decision, Violation
from catalyst_sdk.credentials import packed
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict

from .. import signing
from ..clouds import CloudPlugins
from ..domain import credentials, graphs, mirrors, remotes
from ..domain.credentials import Credential, CredentialInvalid, CredentialNotFound, CredentialTaken
from ..store import CredentialRow, Store, tables
from . import filters
from .filters import NotServed
from .operations import begun

CLOUD = "cloud_provider"
NEEDED = ("read", "write")
PLAIN: Mapping[str, Mapping[str, Any]] = {
    remotes.KIND: remotes.SCHEMA,
    mirrors.KIND: remotes.SCHEMA,
    signing.KIND: signing.SCHEMA,
}  # fmt: skip - pairs
"""Fields of the kinds that are no cloud's: nobody looks at them before they are used."""


class CredentialService(service_pb2_grpc.CredentialServiceServicer):
    """Credentials."""

    def __init__(self, work: Work[Store], clouds: CloudPlugins, sealer: Sealer, engine: Engine) -> None:
        self._work = work
        self._clouds = clouds
        self._sealer = sealer
        self._engine = engine

    async def CreateCredential(
        self, request: service_pb2.CreateCredentialRequest, context: Context
    ) -> resources_pb2.Credential:
        id, wish = _id_of(request), request.credential
        if wish.kind not in (CLOUD, *PLAIN):
            raise NotServed(capability=f"a credential of kind {wish.kind or '(none)'}")
        self._demand(wish.kind, wish.provider, dict(request.values))

        async def step(tx: Store) -> Decision[resources_pb2.Credential]:
            if await tx.credential_record(id):
                raise CredentialTaken(name=f"credentials/{id}")
            made = Credential(id, str(uuid4()), wish.kind, wish.provider, wish.organization, 1, 1, tx.now, tx.now)
            if not request.validate_only:
                await self._keep(tx, made, request.values)
            return Decision(await self._shown(tx, made))

        answer = await self._written(step, validate_only=request.validate_only)
        if not request.validate_only and wish.kind == CLOUD:
            await self._look(answer.name.partition("/")[2], newest=1, needed=NEEDED)
        return answer

    async def AddCredentialVersion(
        self, request: service_pb2.AddCredentialVersionRequest, context: Context
    ) -> resources_pb2.Credential:
        id, by = request.name.partition("/")[2], caller(context).subject

        async def step(tx: Store) -> Decision[resources_pb2.Credential]:
            held = await _held(tx, request.name)
            credentials.demand_etag(held, request.etag)
            self._demand(held.kind, held.provider, dict(request.values))
            decided = credentials.add_version(held, actor=by, now=tx.now)
            if not request.validate_only:
                await self._keep(tx, decided.state, request.values)
            return Decision(await self._shown(tx, decided.state), decided.events)

        answer = await self._written(step, validate_only=request.validate_only)
        if not request.validate_only and answer.kind == CLOUD:
            await self._look(id, newest=answer.versions[0].number, needed=NEEDED)
        return answer

    async def CheckCredential(
        self, request: service_pb2.CheckCredentialRequest, context: Context
    ) -> operations_pb2.Operation:
        id, by = request.name.partition("/")[2], caller(context).subject

        async def step(tx: Store) -> Decision[operations_pb2.Operation]:
            held = await _held(tx, request.name)
            if held.kind != CLOUD:
                raise NotServed(capability=f"the check of a credential of kind {held.kind}")
            self._clouds.get(held.provider)
            needed = list(request.needed or NEEDED)
            body = {"credential": id, "version": held.newest, "needed": needed}
            run = await self._engine.start_in(
                tx.sql, graphs.CHECK, subject=f"{held.name}/checks/{uuid4()}", key=str(uuid4()), input=body, by=by
            )
            metadata = service_pb2.CredentialMetadata(
                credential=held.name, credential_version=held.newest, start_time=stamp(tx.now)
            )
            return Decision(begun(run, metadata))

        answer = await self._work.run(step, answer=lambda made: made)
        self._engine.wake()
        return answer

    async def GetCredential(
        self, request: service_pb2.GetCredentialRequest, context: Context
    ) -> resources_pb2.Credential:
        async with self._work.reading() as tx:
            return await self._shown(tx, await _held(tx, request.name))

    async def ListCredentials(
        self, request: service_pb2.ListCredentialsRequest, context: Context
    ) -> service_pb2.ListCredentialsResponse:
        filter = filters.parse(request.filter, resources_pb2.Credential, filters.CREDENTIALS)
        page = Page.of(request.page_size, request.page_token, "credentials", request.filter)
        async with self._work.reading() as tx:
            shown, token = await filters.filled(
                page, filter, fetch=lambda after: tx.credentials_after(after or "", page.size + 1),
                show=partial(self._shown, tx), key=lambda row: row.id,
            )  # fmt: skip
        return service_pb2.ListCredentialsResponse(credentials=shown, next_page_token=token)

    async def DeleteCredential(self, request: service_pb2.DeleteCredentialRequest, context: Context) -> Empty:
        async def step(tx: Store) -> Decision[None]:
            held = await _held(tx, request.name)
            credentials.demand_etag(held, request.etag)
            credentials.demand_unused(held, await tx.users_of(held.name))
            if not request.validate_only:
                await tx.forget_credential(held.id)
            return Decision(None)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    async def _written(self, step: Any, *, validate_only: bool) -> resources_pb2.Credential:
        ask = self._work.rehearse if validate_only else self._work.run
        answer: resources_pb2.Credential = await ask(step, answer=lambda made: made)
        return answer

    async def _keep(self, tx: Store, held: Credential, values: Mapping[str, str]) -> None:
        schema = self._schema(held.kind, held.provider)
        plain = values[credentials.FIELD].encode() if schema.get("type") == "string" else packed(dict(values))
        sealed = self._sealer.seal(plain, sealed_at(tables.credentials.c.value, held.id, held.newest))
        row = CredentialRow(
            held.id, held.newest, held.kind, held.provider, held.organization, held.uid, sealed,
            caller().subject, tx.now,
        )  # fmt: skip
        await tx.keep_credential(row)
        await tx.save(held)

    async def _look(self, id: str, *, newest: int, needed: tuple[str, ...]) -> None:
        """Have the newest version checked; the same version once."""
        body = {"credential": id, "version": newest, "needed": list(needed)}
        key = f"{id}/{newest}"
        await self._engine.start(graphs.CHECK, subject=f"credentials/{id}/checks/{newest}", key=key, input=body)

    def _schema(self, kind: str, provider: str) -> Mapping[str, Any]:
        return PLAIN[kind] if kind in PLAIN else self._clouds.get(provider).manifest.credential_schema

    def _demand(self, kind: str, provider: str, values: Mapping[str, str]) -> None:
        credentials.demand_values(self._schema(kind, provider), values)
        if kind == signing.KIND:
            signing.demand_key(values)

    async def _shown(self, tx: Store, held: Credential) -> resources_pb2.Credential:
        made = resources_pb2.Credential(
            name=held.name, uid=held.uid, etag=held.etag, version=held.version, create_time=stamp(held.created_at),
            update_time=stamp(held.updated_at), kind=held.kind, provider=held.provider,
            organization=held.organization, users=await tx.users_of(held.name),
            versions=[
                resources_pb2.CredentialVersion(
                    number=row.version, create_time=stamp(row.created_at), creator=row.creator
                )
                for row in await tx.credential_versions(held.id)
            ],
        )  # fmt: skip
        if held.kind in PLAIN or held.provider in self._clouds.clouds:
            ParseDict(dict(credentials.schema_of(self._schema(held.kind, held.provider))), made.schema)
        if held.last_check:
            ParseDict(dict(held.last_check), made.last_check)
        return made


async def _held(tx: Store, name: str) -> Credential:
    held = await tx.credential_record(name.partition("/")[2])
    if held is None:
        raise CredentialNotFound(name=name)
    return held


def _id_of(request: service_pb2.CreateCredentialRequest) -> str:
    named = request.credential.name.partition("/")[2]
    if request.credential_id and named and request.credential_id != named:
        raise CredentialInvalid([Violation("credential_id", f"differs from credential.name, {named}", "conflict")])
    id = request.credential_id or named
    if not id:
        raise CredentialInvalid([Violation("credential.name", "is required, or credential_id", "required")])
    return id
