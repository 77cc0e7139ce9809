"""RegistrarService."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Caller, Context, InvalidRequest, Page, Work, caller
from catalyst_mesh.calls import RoleDenied
from catalyst_sdk import Decision, SecretRef, Violation
from catalyst_sdk.credentials import NoSuchForm, credential_faults, from_line
from catalyst_sdk.registrar import RegistrarInfo
from google.protobuf.empty_pb2 import Empty

from catalyst_pool_domain_manager.domain import refusals, registrars
from catalyst_pool_domain_manager.domain.registrars import Account, AccountInUse, AccountNotFound, registrar_name
from catalyst_pool_domain_manager.secrets import PluginSecrets
from catalyst_pool_domain_manager.store import Store

from .masks import wanted
from .messages import etag
from .registrar_calls import Registrars
from .registrar_messages import to_access, to_account, to_delegation, to_registrar

CHANGEABLE = ("credential", "secret_ref")
GUARDS = ("sovereign-admin", "security-officer")
"""Who keeps every owner's accounts, and may name a stored secret."""


class RegistrarService(service_pb2_grpc.RegistrarServiceServicer):
    """Registrars as their plugins describe them, accounts with sealed credentials, and two questions to a registrar."""

    def __init__(
        self,
        work: Work[Store],
        registrars: Registrars,
        secrets: PluginSecrets,
        *,
        egress_ip: str,
        is_suffix: Callable[[str], bool],
    ) -> None:
        self._work = work
        self._registrars = registrars
        self._secrets = secrets
        self._egress_ip = egress_ip
        self._is_suffix = is_suffix

    async def ListRegistrars(
        self, request: service_pb2.ListRegistrarsRequest, context: Context
    ) -> service_pb2.ListRegistrarsResponse:
        page = Page.of(request.page_size, request.page_token, "registrars", most=500)
        found = [to_registrar(info, failure) for info, failure in self._registrars.all()]
        rest = [one for one in found if one.name > (page.after or "")]
        cut = page.cut(rest[: page.size + 1], lambda one: one.name)
        return service_pb2.ListRegistrarsResponse(registrars=cut.rows, next_page_token=cut.next_page_token)

    async def GetRegistrar(self, request: service_pb2.GetRegistrarRequest, context: Context) -> resources_pb2.Registrar:
        return to_registrar(*self._registrars.one(request.name))

    async def CreateRegistrarAccount(
        self, request: service_pb2.CreateRegistrarAccountRequest, context: Context
    ) -> resources_pb2.RegistrarAccount:
        wish, me, id = request.registrar_account, caller(context), request.registrar_account_id
        info = self._registrars.info(wish.registrar)
        owner = _owner(wish.owner, me)
        sealed, secret_ref = self._credential(id, info, wish, me)

        async def step(tx: Store) -> Decision[Account]:
            made = Account(
                id, str(uuid4()), info.name, owner, tx.now, tx.now, sealed=sealed, secret_ref=secret_ref
            )  # fmt: skip
            return registrars.create(await tx.account(id, lock=True), made, me.subject)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=self._told)

    async def GetRegistrarAccount(
        self, request: service_pb2.GetRegistrarAccountRequest, context: Context
    ) -> resources_pb2.RegistrarAccount:
        async with self._work.reading() as tx:
            return self._told(await _found(tx, request.name, caller(context)))

    async def ListRegistrarAccounts(
        self, request: service_pb2.ListRegistrarAccountsRequest, context: Context
    ) -> service_pb2.ListRegistrarAccountsResponse:
        owners = _owners(caller(context))
        page = Page.of(request.page_size, request.page_token, "registrarAccounts", owners, most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.accounts(page.after or "", page.size + 1, owners), lambda a: a.id)
        return service_pb2.ListRegistrarAccountsResponse(
            registrar_accounts=[self._told(a) for a in cut.rows], next_page_token=cut.next_page_token
        )

    async def UpdateRegistrarAccount(
        self, request: service_pb2.UpdateRegistrarAccountRequest, context: Context
    ) -> resources_pb2.RegistrarAccount:
        wish, me = request.registrar_account, caller(context)
        fields = wanted(request.update_mask, wish, CHANGEABLE)
        given = resources_pb2.RegistrarAccount()
        if "credential" in fields:
            given.credential.update(wish.credential)
        if "secret_ref" in fields:
            given.secret_ref = wish.secret_ref
        async with self._work.reading() as tx:
            info = self._registrars.info(registrar_name((await _found(tx, wish.name, me)).registrar))
        sealed, secret_ref = self._credential(wish.name.partition("/")[2], info, given, me)

        async def step(tx: Store) -> Decision[Account]:
            known = await _found(tx, wish.name, me, lock=True)
            _fresh(known, request.etag)
            return registrars.replaced(known, sealed=sealed, secret_ref=secret_ref, now=tx.now)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=self._told)

    async def DeleteRegistrarAccount(
        self, request: service_pb2.DeleteRegistrarAccountRequest, context: Context
    ) -> Empty:  # fmt: skip
        me = caller(context)

        async def step(tx: Store) -> Decision[None]:
            known = await _found(tx, request.name, me, lock=True)
            _fresh(known, request.etag)
            if user := await tx.user_of_account(known.name) or await tx.pool_of_account(known.name):
                raise AccountInUse(name=known.name, user=user)
            if not request.validate_only:
                await tx.forget_account(known)
            return Decision(None, (registrars.deleted(known, me.subject),))

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    async def ValidateRegistrarAccess(
        self, request: service_pb2.ValidateRegistrarAccessRequest, context: Context
    ) -> resources_pb2.RegistrarAccess:
        info = self._registrars.info(request.name)
        await self._check_domain(request.domain)
        if not request.account:
            with self._in_hand(info, request) as ref:
                access = await self._registrars.validate(request.name, credential=ref, domain=request.domain)
            return to_access(access)
        async with self._work.reading() as tx:
            known = await _found(tx, request.account, caller(context))
        if known.registrar != info.name:
            fault = Violation("account", f"it is an account at {registrar_name(known.registrar)}", "account.registrar")
            raise InvalidRequest((fault,))
        access = await self._registrars.validate(request.name, credential=_ref(known), domain=request.domain)

        async def step(tx: Store) -> None:
            # Of an account that changed or went while its registrar was asked, the answer says nothing.
            now = await tx.account(known.id, lock=True)
            if now is not None and (now.uid, now.version) == (known.uid, known.version):
                decision = registrars.checked(now, request.domain, access, tx.now)
                await tx.save(decision.state)
                tx.emit(*decision.events)

        await self._work.again(step)
        return to_access(access)

    async def ReadDelegation(
        self, request: service_pb2.ReadDelegationRequest, context: Context
    ) -> service_pb2.ReadDelegationResponse:
        async with self._work.reading() as tx:
            known = await _found(tx, request.name, caller(context))
        await self._check_domain(request.domain)
        name = registrar_name(known.registrar)
        return to_delegation(
            await self._registrars.delegation(name, credential=_ref(known), domain=request.domain)
        )  # fmt: skip

    async def _check_domain(self, domain: str) -> None:
        async with self._work.reading() as tx:
            pools = [pool.domain for pool in await tx.all_pools()]
        if fault := registrars.domain_fault(domain, pools, self._is_suffix):
            raise InvalidRequest((fault,))

    def _told(self, a: Account) -> resources_pb2.RegistrarAccount:
        info, _ = self._registrars.one(registrar_name(a.registrar))
        return to_account(a, self._egress_ip if "needs_ip_allowlist" in info.capabilities else "")

    def _credential(
        self, account: str, info: RegistrarInfo, wish: resources_pb2.RegistrarAccount, me: Caller
    ) -> tuple[bytes, str]:
        """The credential of a wish, sealed, or the name of the secret that holds it. Raises InvalidRequest, RoleDenied."""
        field = "registrar_account"
        if wish.credential and wish.secret_ref:
            both = Violation(f"{field}.secret_ref", "an account has a credential or a reference, not both", "one_of")
            raise InvalidRequest((both,))
        if wish.secret_ref:
            # A reference opens whatever lies in the daemon's folder of secrets.
            if not me.has_role(*GUARDS):
                raise RoleDenied(subject=me.subject, resource=f"secret {wish.secret_ref}")
            return b"", wish.secret_ref
        _judge(info, wish.credential, f"{field}.credential")
        return (self._secrets.seal(account, wish.credential) if wish.credential else b""), ""

    def _in_hand(
        self, info: RegistrarInfo, request: service_pb2.ValidateRegistrarAccessRequest
    ) -> AbstractContextManager[SecretRef | None]:
        """The credential that the caller has in hand, for one call."""
        if not info.credential_schema:
            return nullcontext(None)
        if request.HasField("credential"):
            fields: Mapping[str, str] = request.credential.fields
            _judge(info, fields, "credential.fields")
        else:
            try:
                fields = from_line(info.credential_schema, request.token)
            except NoSuchForm as error:
                raise InvalidRequest((Violation("token", str(error), "token.form"),)) from None
            _judge(info, fields, "token")
        return self._secrets.in_hand(fields)


def _judge(info: RegistrarInfo, fields: Mapping[str, str], path: str) -> None:
    """Raises InvalidRequest with every field that the registrar's schema does not take, and no value."""
    faults = credential_faults(info.credential_schema, dict(fields))
    if faults:
        raise InvalidRequest(
            tuple(Violation(f"{path}.{one.field}", one.text, f"credential.{one.rule}") for one in faults)
        )


def _ref(account: Account) -> SecretRef | None:
    return SecretRef(account.name) if account.sealed or account.secret_ref else None


def _owner(given: str, me: Caller) -> str:
    """Whose account it becomes. Raises InvalidRequest, RoleDenied."""
    mine = _owners(me)
    owner = given or (mine[0] if mine and len(mine) == 1 else "")
    if not owner:
        raise InvalidRequest((Violation("registrar_account.owner", "say whose account it is", "required"),))
    if mine is not None and owner not in mine:
        raise RoleDenied(subject=me.subject, resource=owner)
    return owner


def _owners(me: Caller) -> tuple[str, ...] | None:
    """Owners whose accounts the caller keeps; None: everybody's."""
    if me.has_role(*GUARDS):
        return None
    return tuple(f"organizations/{org}" for org in sorted(me.organizations) if me.has_role("org-admin", org=org))


async def _found(tx: Store, name: str, me: Caller, *, lock: bool = False) -> Account:
    """The account, where it is the caller's business. Raises AccountNotFound."""
    known, owners = await tx.account(name.removeprefix("registrarAccounts/"), lock=lock), _owners(me)
    if known is None or (owners is not None and known.owner not in owners):
        raise AccountNotFound(name=name)
    return known


def _fresh(known: Account, given: str) -> None:
    if given != etag(known.version):
        raise refusals.EtagMismatch(name=known.name)
