"""One Sovereign on the terminal, with the way to its console where no resolver of this machine knows the name."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from catalyst_cli.output import Form, err, show, show_one

COLUMNS = {"NAME": "name", "STATE": "state", "HEALTH": "health", "FQDN": "fqdn", "CONSOLE": "consoleUrl"}
_PORTS = {"http": 80, "https": 443}


def show_sovereign(form: Form, one: Mapping[str, Any], *, fallen: bool = False) -> None:
    """Print one Sovereign; beside its table how its console is reached, and with `fallen` what of it does not hold."""
    (show_one if fallen else show)(form, one, COLUMNS)
    if form is Form.TABLE and (line := way_to_console(one)):
        err.print(f"its name is known to the simulated cloud's own name servers alone; look at it by\n  {line}",
                  markup=False, soft_wrap=True)  # fmt: skip


def way_to_console(one: Mapping[str, Any]) -> str:
    """A line that reaches the console of a simulated Sovereign; empty where its address is nowhere, or its name the world's."""
    addresses = [address for cluster in one.get("clusters", ()) for address in cluster.get("addresses", ())]
    url = urlsplit(one.get("consoleUrl") or "")
    if not (one.get("simulated") and addresses and url.hostname):
        return ""
    port = url.port or _PORTS[url.scheme]
    return f"curl --resolve {url.hostname}:{port}:{addresses[0]} {url.geturl()}"
