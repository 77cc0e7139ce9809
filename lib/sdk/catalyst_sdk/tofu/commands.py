"""Command lines and environment of the tool. Pure.

Nothing is inherited from the host: no configuration of its own user, no variable that would change a command.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""Of the host's environment: where programs and certificates are, and how the outside is reached."""
PLAN = "catalyst.plan"
STATE = "terraform.tfstate"
VARIABLES = "catalyst.auto.tfvars.json"
IMPORTS = "catalyst_imports.tf.json"
PATIENCE = "-lock-timeout=300s"
"""For a tool whose daemon died before it had written down that it started it: nobody knows of it but the tool's own lock."""
SETTINGS = "cli.tfrc"
LOCK = ".terraform.lock.hcl"


def environment(
    host: Mapping[str, str], *, folder: str, data: str, credential: Mapping[str, str], secrets: Mapping[str, Any]
) -> dict[str, str]:
    """Of every command in a run folder.

    data         where the tool keeps its providers
    credential   what the provider reads, by its names: in neither plan nor state
    secrets      variables of the module that are sensitive: in no file of ours, and not among the arguments
    """
    passed_on = {name: host[name] for name in PASSED_ON if name in host}
    ours = {
        "HOME": folder,
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_DATA_DIR": data,
        "TF_CLI_CONFIG_FILE": f"{folder}/{SETTINGS}",
    }
    variables = {f"TF_VAR_{name}": _variable(value) for name, value in secrets.items()}
    return {**passed_on, **ours, **credential, **variables}


def settings(*, mirror: str = "", cache: str = "") -> str:
    """The tool's own settings file: providers from a folder where one is named, else from their origin."""
    lines = [f'plugin_cache_dir = "{cache}"'] if cache else []
    if mirror:
        lines += ["provider_installation {", "  filesystem_mirror {", f'    path = "{mirror}"', "  }", "}"]
    return "\n".join([*lines, ""])


def init(*, locked: bool) -> list[str]:
    """Make providers ready; `locked` holds them to the lock file."""
    return ["init", "-no-color", *(["-lockfile=readonly"] if locked else [])]


def providers() -> list[str]:
    """Which providers the module wants, and from which registries."""
    return ["providers"]


def plan(*, destroy: bool = False, refresh_only: bool = False, anew: Iterable[str] = ()) -> list[str]:
    """Exit code 0: nothing to do, 1: error, 2: changes. `anew` are addresses of what is made anew."""
    mode = ["-destroy"] if destroy else ["-refresh-only"] if refresh_only else []
    return ["plan", "-json", "-detailed-exitcode", PATIENCE, *mode, *(f"-replace={a}" for a in anew), f"-out={PLAN}"]


def apply() -> list[str]:
    """Carry out the plan that was made: the tool refuses it if its state moved since."""
    return ["apply", "-json", PATIENCE, PLAN]


def show(what: str = "") -> list[str]:
    """A plan, or the state where none is named."""
    return ["show", "-json", *([what] if what else [])]


def forget(addresses: list[str]) -> list[str]:
    """Take resources out of the state and leave them in the cloud."""
    return ["state", "rm", *addresses]


def _variable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
