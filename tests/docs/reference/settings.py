"""What each daemon can be told: one page a daemon, and one of what all of them are told."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from catalyst_cli.dev.layout import PACKAGES
from catalyst_mesh import DaemonSettings
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from .words import MADE, table

_ALL = f"""# Settings of every daemon

{MADE}
A daemon reads its environment and nothing else: `CATALYST_<DAEMON>_<SETTING>`. With `_FILE` at the end a variable names a file
that holds the value. A variable that no daemon knows stops the start; all faults are told at once. `--print-config` shows each
value and where it came from, secrets masked. Below, `*` stands for the daemon.
"""


def pages() -> Iterator[tuple[str, str]]:
    """The pages."""
    shared = set(DaemonSettings.model_fields)
    yield "reference/settings/every-daemon.md", f"{_ALL}\n{_table(DaemonSettings, 'CATALYST_*_', shared)}"
    for name, package in sorted(PACKAGES.items()):
        settings = _settings(package)
        prefix = str(settings.model_config["env_prefix"]).upper()
        own = set(settings.model_fields) - shared
        title = package.removeprefix("catalyst_").replace("_", "-")
        text = f"# Settings of {title}\n\n{MADE}\nBeside [those of every daemon](every-daemon.md).\n\n"
        yield f"reference/settings/{name}.md", text + (_table(settings, prefix, own) or "It has none of its own.\n")


def _settings(package: str) -> type[DaemonSettings]:
    module = importlib.import_module(f"{package}.settings")
    found = (one for one in vars(module).values() if isinstance(one, type) and issubclass(one, DaemonSettings))
    return next(one for one in found if one.__module__ == module.__name__)


def _table(settings: type[DaemonSettings], prefix: str, names: set[str]) -> str:
    rows = [
        (f"`{prefix}{name.upper()}`", _default(field), field.description or "")
        for name, field in settings.model_fields.items()
        if name in names
    ]
    return table(("setting", "default", "what it is"), rows)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, dict | tuple):
        return "" if not value else f"{len(value)} entries"
    if isinstance(value, Path) and value.is_absolute():
        return "beside the code"
    return "" if value in (None, "") else f"`{str(value).lower() if isinstance(value, bool) else value}`"
