"""The chassis: what every daemon stands on, so that a daemon's own code is its domain.

Names are imported from their modules when they are first used: the command line needs two of them and should not pay for
gRPC and SQLAlchemy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access import PUBLIC, SIGNED_IN, Row, Scope, rows
    from .addresses import Network, Origin, Target, Url
    from .bus import Bus
    from .calls import Caller, caller, current
    from .client import connect
    from .clocks import Clock, ManualClock, SystemClock
    from .daemon import Daemon, Service, Worker, main
    from .database import Database, Json, UtcTime
    from .errors import CallFailed, Explained, InvalidRequest, PeerUnavailable, PluginUnavailable, explain
    from .facts import Emitted, Handled, Told
    from .identity import Issuer, TokenFile
    from .leases import Lease, LeaseLost, Leases
    from .logs import get_logger
    from .memberships import Memberships
    from .mesh import Mesh, OperationFailed, StillGoing
    from .metrics import ChassisMetrics
    from .migrations import migrate
    from .operations import OperationNotFound, OperationService
    from .paging import Cut, Page
    from .plugins import PluginHost
    from .protos import Context, moment, span, stamp
    from .ready import Ready
    from .sealing import SEALED, Sealer, Unopened, sealed_at
    from .settings import ControllerSettings, DaemonSettings
    from .tables import ROW_NUMBER, chassis_tables
    from .tls import CertificateFiles
    from .verifiers import KeyFileVerifier, Verifier
    from .work import Contended, LostRace, Transaction, Work

_HOMES = {
    "access": "PUBLIC SIGNED_IN Row Scope rows",
    "addresses": "Network Origin Target Url",
    "bus": "Bus",
    "calls": "Caller caller current",
    "client": "connect",
    "clocks": "Clock ManualClock SystemClock",
    "daemon": "Daemon Service Worker main",
    "database": "Database Json UtcTime",
    "errors": "CallFailed Explained InvalidRequest PeerUnavailable PluginUnavailable explain",
    "facts": "Emitted Handled Told",
    "identity": "Issuer TokenFile",
    "leases": "Lease LeaseLost Leases",
    "logs": "get_logger",
    "memberships": "Memberships",
    "mesh": "Mesh OperationFailed StillGoing",
    "metrics": "ChassisMetrics",
    "migrations": "migrate",
    "operations": "OperationNotFound OperationService",
    "paging": "Cut Page",
    "plugins": "PluginHost",
    "protos": "Context moment span stamp",
    "ready": "Ready",
    "sealing": "SEALED Sealer Unopened sealed_at",
    "settings": "ControllerSettings DaemonSettings",
    "tables": "ROW_NUMBER chassis_tables",
    "tls": "CertificateFiles",
    "verifiers": "KeyFileVerifier Verifier",
    "work": "Contended LostRace Transaction Work",
}
"""Module of each name below."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names.split():
            value = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "PUBLIC",
    "ROW_NUMBER",
    "SEALED",
    "SIGNED_IN",
    "Bus",
    "CallFailed",
    "Caller",
    "CertificateFiles",
    "ChassisMetrics",
    "Clock",
    "Contended",
    "Context",
    "ControllerSettings",
    "Cut",
    "Daemon",
    "DaemonSettings",
    "Database",
    "Emitted",
    "Explained",
    "Handled",
    "InvalidRequest",
    "Issuer",
    "Json",
    "KeyFileVerifier",
    "Lease",
    "LeaseLost",
    "Leases",
    "LostRace",
    "ManualClock",
    "Memberships",
    "Mesh",
    "Network",
    "OperationFailed",
    "OperationNotFound",
    "OperationService",
    "Origin",
    "Page",
    "PeerUnavailable",
    "PluginHost",
    "PluginUnavailable",
    "Ready",
    "Row",
    "Scope",
    "Sealer",
    "Service",
    "StillGoing",
    "SystemClock",
    "Target",
    "TokenFile",
    "Told",
    "Transaction",
    "Unopened",
    "Url",
    "UtcTime",
    "Verifier",
    "Work",
    "Worker",
    "caller",
    "chassis_tables",
    "connect",
    "current",
    "explain",
    "get_logger",
    "main",
    "migrate",
    "moment",
    "rows",
    "sealed_at",
    "span",
    "stamp",
]
