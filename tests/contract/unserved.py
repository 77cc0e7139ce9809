"""Which methods no daemon serves yet."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

DAEMONS = {
    "billing": "catalyst_billing",
    "catalog": "catalyst_catalog",
    "continuum": "catalyst_continuum",
    "environment": "catalyst_environment",
    "pooldomain": "catalyst_pool_domain_manager",
    "provisioner": "catalyst_provisioner",
}


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for kind in of.__subclasses__():
        yield kind
        yield from subclasses(kind)


def not_served(contract: str, package: str) -> dict[str, set[str]]:
    """Methods of each service that no servicer of the daemon has."""
    rpc = importlib.import_module(f"{package}.rpc")
    for module in pkgutil.iter_modules(getattr(rpc, "__path__", []), f"{package}.rpc."):
        importlib.import_module(module.name)
    grpc: Any = importlib.import_module(f"catalyst.{contract}.v1.service_pb2_grpc")
    descriptor: Any = importlib.import_module(f"catalyst.{contract}.v1.service_pb2").DESCRIPTOR
    found = {}
    for service in descriptor.services_by_name.values():
        base = getattr(grpc, f"{service.name}Servicer")
        ours = [kind for kind in subclasses(base) if kind.__module__.startswith(f"{package}.")]
        served = {
            m.name for m in service.methods for kind in ours if getattr(kind, m.name) is not getattr(base, m.name)
        }
        missing = {m.name for m in service.methods} - served
        found[service.full_name] = {"all"} if missing and not served else missing
    return {name: missing for name, missing in found.items() if missing}
