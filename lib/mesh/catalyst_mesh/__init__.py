"""The chassis: what every daemon stands on, so that a daemon's own code is its domain."""

from .access import PUBLIC, SIGNED_IN, rows
from .bus import Bus
from .calls import Caller, caller, current
from .client import connect
from .clocks import Clock, ManualClock, SystemClock
from .daemon import Daemon, Service, Worker, main
from .database import Database, Json, UtcTime
from .errors import Explained, InvalidRequest, PeerUnavailable, PluginUnavailable, explain
from .facts import Emitted, Handled, Told
from .identity import Issuer, TokenFile, Verifier
from .leases import Leases
from .logs import get_logger
from .metrics import ChassisMetrics
from .migrations import migrate
from .paging import Cut, Page
from .plugins import PluginHost
from .protos import Context, moment, span, stamp
from .sealing import Sealer
from .settings import DaemonSettings
from .tables import ROW_NUMBER, chassis_tables
from .work import Contended, LostRace, Transaction, Work

__all__ = [
    "PUBLIC",
    "ROW_NUMBER",
    "SIGNED_IN",
    "Bus",
    "Caller",
    "ChassisMetrics",
    "Clock",
    "Contended",
    "Context",
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
    "Leases",
    "LostRace",
    "ManualClock",
    "Page",
    "PeerUnavailable",
    "PluginHost",
    "PluginUnavailable",
    "Sealer",
    "Service",
    "SystemClock",
    "TokenFile",
    "Told",
    "Transaction",
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
    "span",
    "stamp",
]
