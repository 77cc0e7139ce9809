"""Bugs: each file is a patch of `catalyst_continuum/domain`; a new one is picked up by itself.

What stands before the first `---` says which worlds must find it.
"""

import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import catalyst_continuum.domain as production

HERE = Path(__file__).parent
SEEDS = sorted(HERE.glob("*.patch"))
MODULES = ("record", "ballot", "lease", "register", "timing", "authority", "traffic", "reconfigure")


def as_it_is() -> Mapping[str, ModuleType]:
    """Production's own modules."""
    return {name: importlib.import_module(f"{production.__name__}.{name}") for name in MODULES}


def with_bug(seed: Path, home: Path) -> Mapping[str, ModuleType]:
    """A copy of production's modules with one bug in it, under a name of its own."""
    copy = home / "domain"
    shutil.copytree(Path(production.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    apply(seed.read_text(), copy)
    package = f"seeded_{seed.stem}"
    spec = importlib.util.spec_from_file_location(package, copy / "__init__.py", submodule_search_locations=[str(copy)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
    return {name: importlib.import_module(f"{package}.{name}") for name in MODULES}


def apply(patch: str, folder: Path) -> None:
    """Apply a unified diff by its text alone: line numbers move with every change of the code, and say nothing."""
    files = re.split(r"^--- ", patch, flags=re.M)[1:]
    assert files, "the seed changes nothing"
    for part in files:
        head, *hunks = re.split(r"^@@.*\n", part, flags=re.M)
        match = re.search(r"^\+\+\+ (?:b/)?(\S+)", head, flags=re.M)
        assert match
        path = folder / match[1]
        text = path.read_text()
        for hunk in hunks:
            lines = hunk.splitlines()
            old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            assert text.count(old) == 1, f"the seed does not fit {path.name} any more, or fits twice:\n{old}"
            text = text.replace(old, new)
        path.write_text(text)


def forget(seed: Path) -> None:
    """Take the copy out of the interpreter again."""
    package = f"seeded_{seed.stem}"
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
