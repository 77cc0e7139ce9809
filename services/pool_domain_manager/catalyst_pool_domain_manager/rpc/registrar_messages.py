"""Registrars and their accounts, between the contract's messages and the domain's values."""

from collections.abc import Mapping
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import span, stamp
from catalyst_sdk.registrar import Access, Delegation, DsRecord, RegistrarInfo
from google.protobuf.struct_pb2 import Struct

from catalyst_pool_domain_manager.domain.registrars import Account, entitlements, reason_of, registrar_name

from .messages import etag


def to_registrar(info: RegistrarInfo, failure: str) -> resources_pb2.Registrar:
    """A registrar. `failure`: why its plugin cannot be used; empty where it can."""
    can = info.capabilities
    return resources_pb2.Registrar(
        name=registrar_name(info.name),
        display_name=info.display_name,
        available=not failure,
        unavailable_reason=failure,
        capabilities=resources_pb2.RegistrarCapabilities(
            set_ns="set_ns" in can,
            set_ds="set_ds" in can,
            glue="glue" in can,
            host_records="host_records" in can,
            async_tasks="async_tasks" in can,
            needs_ip_allowlist="needs_ip_allowlist" in can,
            subdomains="subdomains" in can,
            min_ns=info.min_ns,
            max_ns=info.max_ns,
        ),
        credential_schema=_struct(info.credential_schema),
        delay_min=span(info.delay_min.total_seconds()),
        delay_max=span(info.delay_max.total_seconds()),
    )  # fmt: skip - fields in the contract's order


def to_account(a: Account, egress_ip: str) -> resources_pb2.RegistrarAccount:
    """An account without its credential."""
    access = a.check.access if a.check else None
    return resources_pb2.RegistrarAccount(
        name=a.name, registrar=registrar_name(a.registrar), owner=a.owner, secret_ref=a.secret_ref,
        entitlements=entitlements(access) if access else (), egress_ip=egress_ip,
        last_check=to_access(access) if access else None, last_check_time=stamp(a.checked_at),
        uid=a.uid, etag=etag(a.version), version=a.version, create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at),
    )  # fmt: skip


def to_access(access: Access) -> resources_pb2.RegistrarAccess:
    """What a credential can do, with our reasons."""
    findings = [
        resources_pb2.RegistrarFinding(
            reason=reason_of(one.reason), detail=one.detail, provider_code=one.provider_code,
            user_action=one.user_action,
        )
        for one in access.obstacles
    ]  # fmt: skip
    return resources_pb2.RegistrarAccess(
        valid=access.valid, can_read=access.can_read, can_write_ns=access.can_write_ns,
        can_write_ds=access.can_write_ds, reasons=findings,
    )  # fmt: skip


def to_delegation(d: Delegation) -> service_pb2.ReadDelegationResponse:
    """A delegation; host names without their final dot."""
    records = resources_pb2.DelegationRecords(
        ns=[host.rstrip(".") for host in d.ns],
        ds=[_ds(one) for one in d.ds],
        glue=[resources_pb2.Glue(host=one.host.rstrip("."), addresses=one.addresses) for one in d.glue],
    )
    return service_pb2.ReadDelegationResponse(records=records, locks=d.locks, etag=f'"{d.etag}"')


def _ds(d: DsRecord) -> resources_pb2.DsRecord:
    return resources_pb2.DsRecord(key_tag=d.key_tag, algorithm=d.algorithm, digest_type=d.digest_type, digest=d.digest)


def _struct(schema: Mapping[str, Any]) -> Struct:
    found = Struct()
    if schema:
        found.update({"type": "object", "additionalProperties": False, **schema})
    return found
