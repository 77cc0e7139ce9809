"""Names as people write them, and as the catalogue calls what they mean."""

from catalyst_cli.failures import Failure


def source(name: str) -> str:
    """`sources/public` of `public` or of itself."""
    return name if name.startswith("sources/") else f"sources/{name}"


def blueprint(name: str) -> str:
    """`blueprints/bp-valkey` of `valkey`, `bp-valkey` or itself; one of an Organization is named in full."""
    if "/" in name:
        return name
    return f"blueprints/{name if name.startswith('bp-') else f'bp-{name}'}"


def version(name: str) -> str:
    """`blueprints/bp-valkey/versions/1.2.3` of `valkey@1.2.3`, or of itself. Raises Failure for what names none."""
    bare, _, number = name.rpartition("@")
    if bare and number:
        return f"{blueprint(bare)}/versions/{number}"
    if "/versions/" not in name:
        meant = bare or ("NAME" if "@" in name else name)
        how = f"write {meant}@VERSION; `catalyst blueprint versions {meant}` lists them"
        raise Failure(f"{name} names no version", next_step=how, exit_code=2)
    return name
