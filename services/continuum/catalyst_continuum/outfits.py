"""What each slot's agent acts with in its region: its own promoter and gateways, or those of the daemon's settings.

Invariants
  one slot each   a database and a gateway know the epochs of one slot: what the daemon's settings name serves one slot and no
                  other, and every further one needs a file of its own;
  apart           each slot has an instance of its promoter, with a folder of its own.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalyst_mesh import PluginHost, PluginUnavailable
from catalyst_sdk import Code, Refused, Secret
from catalyst_sdk.continuum import Fencer, Promoter, TrafficDriver

from .domain.spec import Mechanism, Selector, Spec
from .settings import ContinuumSettings
from .workers.fencers.http_gates import HttpGates

PROMOTER, FENCER, TRAFFIC = "database_promoter", "fencer", "traffic"
_PLUGINS = {Mechanism.CNPG_TOPOLOGY: "cnpg", Mechanism.CNPG_PAIR: "cnpg"}
"""Plugins that are not called as the mechanism is."""
_FIELDS = frozenset({"promoter", "gates", "gateTokenFile", "fencers", "traffic"})


class OutfitTaken(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OUTFIT_TAKEN"
    message = "what this daemon's settings name serves {owner}; {slot} needs a file {file}"


class OutfitUnreadable(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "OUTFIT_UNREADABLE", "{file} cannot be read: {why}"


class TrafficUnclear(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "TRAFFIC_UNCLEAR", "the names of {slot} cannot be led: {why}"


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the file of a slot says.

    promoter    configuration of the plugin that its mechanism names; None: the daemon's own
    gates       `ip:port` by region
    token_file  with what opens them; None: the daemon's own
    fencers     configurations of further fencers, by plugin; None: the daemon's own
    traffic     configuration of the plugin that leads the names, by its name; None: the daemon's own
    """

    promoter: Mapping[str, Any] | None = None
    gates: Mapping[str, str] = field(default_factory=dict)
    token_file: Path | None = None
    fencers: Mapping[str, Mapping[str, Any]] | None = None
    traffic: Mapping[str, Mapping[str, Any]] | None = None


class Outfits:
    """at_work   whether a slot has an agent here"""

    def __init__(
        self, settings: ContinuumSettings, plugins: PluginHost, shared_gates: Mapping[str, str],
        at_work: Callable[[str], bool],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._plugins = plugins
        self._shared_gates = shared_gates
        self._at_work = at_work
        self._owners: dict[str, str] = {}
        self._made: dict[str, tuple[str, Promoter]] = {}
        self._fencers: dict[str, tuple[str, tuple[Fencer, ...]]] = {}
        self._gates: dict[tuple[Path, tuple[tuple[str, str], ...]], HttpGates] = {}

    def promoter(self, slot: str, spec: Spec) -> Promoter:
        """The promoter of a slot. Raises PluginUnavailable, OutfitTaken, OutfitUnreadable."""
        kind, own = plugin_of(spec), self._of(slot)
        shared = self._settings.plugins.get(f"{PROMOTER}:{kind}", {})
        config = dict(own.promoter) if own is not None and own.promoter is not None else _placed(shared, spec)
        if config == shared and spec.has_database:
            self._own(f"{PROMOTER}:{kind}", slot)
        key = json.dumps([kind, config], sort_keys=True)
        made = self._made.get(slot)
        if made is None or made[0] != key:
            made = self._made[slot] = key, self._plugins.instance(PROMOTER, kind, config, part=slot.replace("/", "."))
        return made[1]

    def fencers(self, slot: str) -> Sequence[Fencer]:
        """What else stops writers of a slot: plugins. Raises PluginUnavailable, OutfitTaken, OutfitUnreadable."""
        own = self._of(slot)
        if own is not None and own.fencers is not None:
            configs = dict(own.fencers)
        else:
            configs = self._listed(FENCER)
            for name in configs:
                self._own(f"{FENCER}:{name}", slot)
        key = json.dumps(configs, sort_keys=True)
        if slot not in self._fencers or self._fencers[slot][0] != key:
            part = slot.replace("/", ".")
            made = tuple(
                fencer for name, one in sorted(configs.items()) for fencer in self._fencers_of(name, one, part)
            )
            self._fencers[slot] = key, made
        return self._fencers[slot][1]

    def _fencers_of(self, name: str, config: Mapping[str, Any], part: str) -> Iterator[Fencer]:
        """A plugin as its own region asks it, and as another one does where it can."""
        fencer: Fencer = self._plugins.instance(FENCER, name, config, part=part)
        yield fencer
        if fencer.local and "remote" in self._plugins.manifest(FENCER, name).capabilities:
            yield FromElsewhere(fencer)

    def driver(self, slot: str, rule: Selector = Selector.STATIC) -> tuple[str, TrafficDriver] | None:
        """The plugin that leads the names of a slot, and its name; None: the daemon does, at name servers.

        One of the settings serves all slots, as each name has an epoch of its own. Raises PluginUnavailable, TrafficUnclear,
        OutfitUnreadable.
        """
        own = self._of(slot)
        configs = dict(own.traffic) if own is not None and own.traffic is not None else self._listed(TRAFFIC)
        if len(configs) > 1:
            raise TrafficUnclear(slot=slot, why=f"there are several plugins for it ({', '.join(sorted(configs))})")
        for name, config in configs.items():
            if rule is not Selector.STATIC:
                raise TrafficUnclear(
                    slot=slot, why=f"{name} leads them to the holder alone, and the wish asks for {rule}"
                )
            return name, self._plugins.instance(TRAFFIC, name, config, part=slot.replace("/", "."))
        return None

    def _listed(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Configurations of the settings, by plugin of this kind."""
        labels = ((*label.partition(":"), config) for label, config in self._settings.plugins.items())
        return {name: config for found, _, name, config in labels if found == kind}

    def rehearses(self, spec: Spec) -> bool:
        """Whether the promoter of such a wish can try a promotion on a copy."""
        try:
            return "rehearse" in self._plugins.manifest(PROMOTER, plugin_of(spec)).capabilities
        except PluginUnavailable:
            return False

    def gates(self, slot: str) -> HttpGates | None:
        """The gateways of a slot; None: there are none. Raises OutfitTaken, OutfitUnreadable."""
        own, token = self._of(slot), self._settings.gate_token_file
        gates = own.gates if own is not None else self._shared_gates
        token = own.token_file or token if own is not None else token
        if not gates or token is None:
            return None
        if own is None:
            self._own("gates", slot)
        key = token, tuple(sorted(gates.items()))
        if key not in self._gates:
            self._gates[key] = HttpGates(gates, Secret(token.read_text().strip()))
        return self._gates[key]

    @property
    def closing(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What closes the connections that were made until now."""
        return [gates.close for gates in self._gates.values()]

    def _own(self, what: str, slot: str) -> None:
        owner = self._owners.get(what, slot)
        if owner != slot and self._at_work(owner):
            file = self._file(slot)
            named = str(file) if file else "in a folder of slots (CATALYST_CONTINUUM_SLOTS_FOLDER)"
            raise OutfitTaken(owner=owner, slot=slot, file=named)
        self._owners[what] = slot

    def _file(self, slot: str) -> Path | None:
        folder = self._settings.slots_folder
        return folder / f"{slot.replace('/', '.', 1)}.json" if folder is not None else None

    def _of(self, slot: str) -> Outfit | None:
        file = self._file(slot)
        try:
            return read(file.read_text()) if file is not None else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutfitUnreadable(file=str(file), why=str(error)) from error


class FromElsewhere:
    """A fencer as the agent of another region asks it."""

    local = False

    def __init__(self, fencer: Fencer) -> None:
        self.level, self.worst_case = fencer.level, fencer.worst_case
        self.fence, self.unfence, self.observe = fencer.fence, fencer.unfence, fencer.observe


def plugin_of(spec: Spec) -> str:
    """The promoter that a wish names."""
    mechanism = spec.switchover.mechanism
    return _PLUGINS.get(mechanism, mechanism.value.replace("-", "_"))


def read(text: str) -> Outfit:
    """The file of a slot: `{"promoter": {…}, "gates": {"region": "ip:port"}, "gateTokenFile": "…", "fencers": {"name": {…}},
    "traffic": {"name": {…}}}`.

    Raises ValueError.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or (strange := sorted(found.keys() - _FIELDS)):
        raise ValueError(f"it is an object with {', '.join(sorted(_FIELDS))}" + (f"; not {strange}" if found else ""))
    promoter, gates, token = found.get("promoter"), found.get("gates", {}), found.get("gateTokenFile")
    fencers, traffic = found.get("fencers"), found.get("traffic")
    if not isinstance(promoter, dict | None):
        raise ValueError("promoter is an object")
    if not isinstance(gates, dict) or not all(isinstance(one, str) and ":" in one for one in gates.values()):
        raise ValueError("gates names an ip:port for each region")
    if not isinstance(token, str | None):
        raise ValueError("gateTokenFile is a path")
    if not _are_configurations(fencers):
        raise ValueError("fencers names an object, a plugin's configuration, for each fencer")
    if not _are_configurations(traffic):
        raise ValueError("traffic names an object, a plugin's configuration, for one plugin")
    return Outfit(promoter, gates, Path(token) if token else None, fencers, traffic)


def _are_configurations(found: Any) -> bool:
    return found is None or (isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()))


def _placed(shared: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """The daemon's configuration with the clusters that the wish names; the address inside is that of another cluster then."""
    regions = dict(shared.get("regions", {}))
    for region, ref in spec.clusters.items():
        row = regions.get(region, {})
        if "cluster" in row and (row["namespace"], row["cluster"]) != (ref.namespace, ref.name):
            kept = {name: value for name, value in row.items() if name != "database"}
            regions[region] = {**kept, "namespace": ref.namespace, "cluster": ref.name}
    return {**shared, "regions": regions} if regions else dict(shared)
