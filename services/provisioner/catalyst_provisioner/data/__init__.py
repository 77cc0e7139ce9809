"""Facts about clouds and names, as a file."""

from functools import cache
from importlib.resources import files

import yaml

from ..domain.reference import Reference, read


@cache
def reference() -> Reference:
    """The data file, read once: a process never has another."""
    text = files(__package__).joinpath("providers.yaml").read_text(encoding="utf-8")
    return read(yaml.load(text, yaml.CSafeLoader))  # libyaml: a tenth of the time
