"""What cloud plugins answer, looked at before anybody builds on it: nonsense is a bug of the plugin, and named as such."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from catalyst_mesh.plugins import PluginBug
from catalyst_sdk.cloud import (
    Change,
    CloudProvider,
    ClusterFacts,
    CredentialReport,
    Discovered,
    Finding,
    InfraPlan,
    Offer,
    Server,
)

Judge = Callable[[Any], bool]


def _many(kind: type) -> Judge:
    return lambda answer: isinstance(answer, (list, tuple)) and all(isinstance(one, kind) for one in answer)


def _plan(answer: Any) -> bool:
    return isinstance(answer, InfraPlan) and _many(Change)(answer.changes) and _many(Finding)(answer.findings)


def _facts(answer: Any) -> bool:
    return isinstance(answer, ClusterFacts) and _many(Server)(answer.servers)


EXPECTED: Mapping[str, Judge] = {
    "offers": _many(Offer),
    "check_credential": lambda answer: isinstance(answer, CredentialReport),
    "preflight": _many(Finding),
    "plan": _plan,
    "apply": _facts,
    "discover": _many(Discovered),
}
"""By call of the contract: whether an answer is one."""


class Checked:
    """A plugin whose answers are what its contract says; everything else of it is as it is."""

    def __init__(self, plugin: CloudProvider) -> None:
        self._plugin = plugin

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._plugin, name)
        return self._checked(name, call) if name in EXPECTED else call

    def _checked(self, name: str, call: Any) -> Any:
        @wraps(call)
        async def asked(*args: Any, **kwargs: Any) -> Any:
            answer = await call(*args, **kwargs)
            if not EXPECTED[name](answer):
                provider = self._plugin.manifest.provider
                raise PluginBug(
                    f"{name} answered {type(answer).__name__}, not what its contract says", provider=provider
                )
            return answer

        return asked


def checked(plugin: CloudProvider) -> CloudProvider:
    """The plugin, its answers looked at. A call raises PluginBug for one that is none."""
    return cast(CloudProvider, Checked(plugin))
