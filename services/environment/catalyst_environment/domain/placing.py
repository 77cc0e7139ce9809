"""Which clusters are an Environment's: those of its own Organization's Sovereigns, as its regions say.

Invariants
  chosen      a cluster that somebody named is taken or none is;
  one or none of several that match none is guessed, but for the one whose type of use is the Environment's own;
  stays       what was found stays until it is gone (whoever asks keeps to that).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .environments import Environment, Host, Region


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cluster of a Sovereign of the same Organization that was active once."""

    host: Host
    provider: str
    region: str
    blocks: frozenset[str]
    """Building blocks that it hosts."""
    env_type: str

    @property
    def id(self) -> str:
        """`{provider code}-{region}-{block}-{type}`."""
        return self.host.cluster.rpartition("/")[2]


def choose(held: Environment, candidates: Sequence[Candidate]) -> tuple[Host, ...] | str:
    """One host for each region, or a sentence about what is missing."""
    found: list[Host] = []
    for region in held.regions or (None,):
        one = _match(held, region, candidates)
        if isinstance(one, str):
            return one
        found.append(one)
    return tuple(dict.fromkeys(found))


def _match(held: Environment, region: Region | None, candidates: Sequence[Candidate]) -> Host | str:
    if region is not None and region.host_cluster:
        named = [one.host for one in candidates if one.host.cluster == region.host_cluster]
        return named[0] if named else f"{region.host_cluster} is no cluster of a Sovereign of organizations/{held.org}"
    fitting = [one for one in candidates if _fits(one, region)]
    own = [one for one in fitting if one.env_type == held.type]
    for few in (fitting, own):
        if len(few) == 1:
            return few[0].host
    where = f" in {region.provider} {region.region}" if region else ""
    if not fitting:
        return f"organizations/{held.org} has no Sovereign with a cluster{where}, so nothing runs here"
    names = ", ".join(sorted(one.host.cluster for one in fitting))
    return f"several clusters could run it{where}, and none was chosen: {names}"


def _fits(one: Candidate, region: Region | None) -> bool:
    if region is None:
        return "rtz" in one.blocks
    is_there = one.region == region.region and region.provider in (one.provider, one.id.partition("-")[0])
    return is_there and region.building_block in one.blocks
