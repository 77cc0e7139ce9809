"""Discovery over the entry-point group `catalyst.plugins`; ours come in by the same door as a stranger's."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pluggy
from catalyst_sdk import PROJECT, SDK_VERSION, Manifest, ManifestFault, load_manifest
from catalyst_sdk.context import PluginContext
from catalyst_sdk.hooks import GROUP, Specs

from ..errors import PluginUnavailable
from ..logs import get_logger
from ..metrics import ChassisMetrics
from .guard import Guarded
from .patience import PATIENCE, HookHangs, hooked, imported
from .rates import Bucket


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """What became of one entry point."""

    entry: str
    kind: str = ""
    name: str = ""
    version: str = ""
    manifest: Manifest | None = None
    target: Any = None
    failure: str = ""
    is_off: bool = False
    """It needs a configuration and was given none: nobody asked for it."""

    @property
    def label(self) -> str:
        """`kind:name`, or the entry point's name where the manifest could not be read."""
        return f"{self.kind}:{self.name}" if self.kind else self.entry


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Those of the installed distributions, of which there are many to look at: once in a process."""
    return tuple(entry_points(group=GROUP))


class PluginHost:
    """The plugins of one daemon. One that fails to load is listed with the reason and stops nothing."""

    def __init__(self, *, kinds: Iterable[str], metrics: ChassisMetrics, patience: float = PATIENCE) -> None:
        self._kinds = frozenset(kinds)
        self._patience = patience
        self._metrics = metrics
        self._pm = pluggy.PluginManager(PROJECT)
        self._pm.add_hookspecs(Specs)
        self._log = get_logger("plugins")
        self._found: dict[str, LoadedPlugin] = {}
        self._entries: dict[str, EntryPoint] = {}
        self._context: Callable[[Manifest, Mapping[str, Any]], PluginContext] | None = None

    @property
    def plugins(self) -> list[LoadedPlugin]:
        """Everything that was found, failed ones too."""
        return sorted(self._found.values(), key=lambda p: p.label)

    def load(
        self,
        context: Callable[[Manifest, Mapping[str, Any]], PluginContext],
        configuration: Mapping[str, Mapping[str, Any]],
        entries: Iterable[EntryPoint] | None = None,
    ) -> None:
        """Find, check, import and configure; called once at the start.

        context         makes what a plugin gets from the host
        configuration   by `kind:name`
        entries         None: those of the installed distributions
        """
        self._context = context
        manifest_path = _installed_manifest_path if entries is None else _manifest_path
        for entry in _installed() if entries is None else entries:
            plugin = self._load_one(entry, manifest_path, context, configuration)
            if plugin is not None:
                self._entries.setdefault(plugin.label, entry)
                key = plugin.label if plugin.label not in self._found else f"{plugin.label} ({entry.value})"
                self._found[key] = plugin

    def get(self, kind: str, name: str) -> Any:
        """The guarded plugin. Raises PluginUnavailable with the reason and the next step."""
        label = f"{kind}:{name}"
        plugin = self._found.get(label)
        if plugin is None:
            known = ", ".join(p.name for p in self.plugins if p.kind == kind) or "none"
            raise PluginUnavailable(plugin=label, why=f"it is not installed (found for {kind}: {known})")
        if plugin.failure:
            raise PluginUnavailable(plugin=label, why=plugin.failure)
        return plugin.target

    def instance(self, kind: str, name: str, config: Mapping[str, Any], *, secret: str = "", part: str = "") -> Any:
        """The plugin once more, guarded, with a configuration of its own. Raises PluginUnavailable with the reason.

        part     name of a folder below the plugin's that is this instance's alone; empty: the plugin's own
        secret   name of the secret for the property that the manifest requires and marks with `x-secret`
        """
        label = f"{kind}:{name}"
        plugin, entry = self._found.get(label), self._entries.get(label)
        if plugin is None or plugin.manifest is None or entry is None or self._context is None:
            raise PluginUnavailable(plugin=label, why="it is not installed")
        whole = {**_secrets_named(plugin.manifest, secret), **config}
        if failure := _unusable(plugin.manifest, whole):
            raise PluginUnavailable(plugin=label, why=failure)
        try:
            context = self._context(plugin.manifest, whole)
            if part:
                context = replace(context, folder=context.folder / part)
                context.folder.mkdir(exist_ok=True, mode=0o700)
            return self._guarded(label, plugin.manifest, self._make(entry, context))
        except Exception as error:  # a stranger's code, as in `load`
            why = f"it failed to load: {type(error).__name__}: {error}"
            raise PluginUnavailable(plugin=label, why=why) from error

    def manifest(self, kind: str, name: str) -> Manifest:
        """What the plugin says about itself. Raises PluginUnavailable where it is not installed or cannot be read."""
        plugin = self._found.get(f"{kind}:{name}")
        if plugin is None or plugin.manifest is None:
            raise PluginUnavailable(plugin=f"{kind}:{name}", why="it is not installed")
        return plugin.manifest

    def names(self, kind: str) -> list[str]:
        """Names of the working plugins of `kind`."""
        return [p.name for p in self.plugins if p.kind == kind and not p.failure]

    def installed(self, kind: str) -> list[str]:
        """Names of the plugins of `kind` whose manifest can be read, configured or not."""
        return [p.name for p in self.plugins if p.kind == kind and p.manifest is not None]

    def observe(self, subject: str, body: Any) -> None:
        """Tell observers of an event; what they raise is logged and ignored, and one that hangs is told of no other."""
        for implementation in self._pm.hook.catalyst_event.get_hookimpls():
            told = implementation.plugin_name
            others = [plugin for name, plugin in self._pm.list_name_plugin() if name != told and plugin is not None]
            hook = self._pm.subset_hook_caller("catalyst_event", others)
            try:
                hooked("catalyst_event", lambda: hook(subject=subject, body=body), self._patience)  # noqa: B023 - ends here
            except HookHangs as late:
                self._pm.unregister(name=told)
                self._log.error("observer hangs", observer=told, subject=subject, error=str(late))
            except Exception as error:
                self._log.warning("observer failed", observer=told, subject=subject, exc_info=error)

    def _load_one(
        self,
        entry: EntryPoint,
        manifest_path: Callable[[EntryPoint], Path],
        context: Callable[[Manifest, Mapping[str, Any]], PluginContext],
        configuration: Mapping[str, Mapping[str, Any]],
    ) -> LoadedPlugin | None:
        try:
            manifest = load_manifest(manifest_path(entry))
        except ManifestFault as fault:
            return LoadedPlugin(entry.name, version=_version(entry), failure=str(fault))
        except Exception as error:  # the import machinery may run a stranger's code
            return LoadedPlugin(
                entry.name, version=_version(entry), failure=f"it cannot be found: {type(error).__name__}: {error}"
            )
        if manifest.kind not in self._kinds:
            return None
        plugin = LoadedPlugin(entry.name, manifest.kind, manifest.name, _version(entry), manifest)
        failure = self._taken(plugin.label) or _unusable(manifest, configuration.get(plugin.label, {}))
        if failure:
            is_off = plugin.label not in configuration and bool(manifest.config.get("required"))
            return replace(plugin, failure=failure, is_off=is_off)
        try:
            target = self._make(entry, context(manifest, configuration.get(plugin.label, {})))
        except BaseException as error:  # a plugin's import may raise anything, SystemExit too
            if isinstance(error, KeyboardInterrupt):
                raise
            self._forget(entry)
            self._log.error("plugin failed to load", plugin=plugin.label, error=f"{type(error).__name__}: {error}")
            return replace(plugin, failure=f"it failed to load: {type(error).__name__}: {error}")
        return replace(plugin, target=self._guarded(plugin.label, manifest, target))

    def _guarded(self, label: str, manifest: Manifest, target: Any) -> Guarded:
        return Guarded(
            label, target, metrics=self._metrics, concurrency=int(manifest.limits.get("concurrency", 8)),
            limit=float(manifest.limits["call_seconds"]) if "call_seconds" in manifest.limits else 30.0,
            rate=Bucket(manifest.limits["per_minute"]) if "per_minute" in manifest.limits else None,
        )  # fmt: skip

    def _taken(self, label: str) -> str:
        first = self._found.get(label)
        return f"its name is taken: entry point {first.entry} is {label} already; uninstall one" if first else ""

    def _forget(self, entry: EntryPoint) -> None:
        """Unregister a plugin that failed: its misspelt hook would be found again at each later plugin's check."""
        if self._pm.has_plugin(entry.name):
            self._pm.unregister(name=entry.name)

    def _make(self, entry: EntryPoint, context: PluginContext) -> Any:
        module = imported(entry.module, self._patience)
        if not self._pm.has_plugin(entry.name):
            self._pm.register(module, name=entry.name)
            self._pm.check_pending()
        hook = self._pm.subset_hook_caller(
            "catalyst_plugin", [m for n, m in self._pm.list_name_plugin() if n != entry.name and m is not None]
        )
        answers = hooked("catalyst_plugin", lambda: hook(context=context), self._patience)
        made = [target for target in answers if target is not None]
        if not made:
            raise LookupError(f"{entry.module} implements no hook `catalyst_plugin`")
        return made[0]


def _version(entry: EntryPoint) -> str:
    """Of its distribution: read from a file each time, so not for those of other kinds."""
    return entry.dist.version if entry.dist else ""


def _manifest_path(entry: EntryPoint) -> Path:
    package = entry.module.split(".")[0]
    spec = importlib.util.find_spec(package)
    where = list(spec.submodule_search_locations or []) if spec else []
    if not where:
        raise ManifestFault(entry.name, [f"package {package} is not there"])
    return Path(where[0]) / "manifest.toml"


@cache
def _installed_manifest_path(entry: EntryPoint) -> Path:
    """Of an installed distribution: every folder of the path is looked into for each, so once in a process."""
    return _manifest_path(entry)


def _secrets_named(manifest: Manifest, secret: str) -> dict[str, str]:
    required, properties = manifest.config.get("required", ()), manifest.config.get("properties", {})
    return {name: secret for name in required if secret and properties.get(name, {}).get("x-secret")}


def _unusable(manifest: Manifest, config: Mapping[str, Any]) -> str:
    if not manifest.speaks(SDK_VERSION):
        return f"it speaks contract versions {manifest.sdk}, this host speaks {SDK_VERSION}: install a matching release"
    if fault := _fault_of_schema(json.dumps(manifest.config)):
        return f"the schema of its configuration is wrong: {fault}"
    faults = list(jsonschema.Draft202012Validator(manifest.config).iter_errors(dict(config)))
    missing = [name for fault in faults if fault.validator == "required" for name in _missing(fault)]
    if not config and missing:
        return f"it is not configured; it needs {', '.join(dict.fromkeys(missing))}"
    told = (f"{'/'.join(map(str, e.absolute_path)) or 'the whole'}: {_meaning(e)}" for e in faults)
    return f"its configuration is wrong: {'; '.join(told)}" if faults else ""


def _missing(fault: jsonschema.ValidationError) -> list[str]:
    """Fields that an object must have and has not."""
    needed, given = fault.validator_value, fault.instance
    if not isinstance(needed, Sequence) or not isinstance(given, Mapping):
        return []
    return [name for name in needed if name not in given]


@lru_cache(maxsize=256)
def _fault_of_schema(schema: str) -> str:
    """Asked once for each schema: to check one takes longer than all else that is done for a plugin."""
    try:
        jsonschema.Draft202012Validator.check_schema(json.loads(schema))
    except jsonschema.SchemaError as error:
        return str(error.message)
    return ""


def _meaning(fault: jsonschema.ValidationError) -> str:
    """What is wrong; a value that is marked as a secret is not quoted."""
    secret = isinstance(fault.schema, Mapping) and fault.schema.get("x-secret")
    return f"the secret breaks the rule `{fault.validator}`" if secret else str(fault.message)
