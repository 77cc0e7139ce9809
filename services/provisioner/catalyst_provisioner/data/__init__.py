"""Facts about clouds and names, as a file."""

from importlib.resources import files

import yaml

from ..domain.reference import Reference, read


def reference() -> Reference:
    """The data file, read."""
    text = files(__package__).joinpath("providers.yaml").read_text(encoding="utf-8")
    return read(yaml.safe_load(text))
