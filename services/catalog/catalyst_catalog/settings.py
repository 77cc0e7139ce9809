"""What the catalogue is told."""

from pathlib import Path

from catalyst_mesh import ControllerSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class CatalogSettings(ControllerSettings):
    """Settings of the catalogue."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_CATALOG_")

    blueprints: Path = Path("blueprints")
    """Folder of the public Blueprints, one folder each, with `families.yaml` beside them. Read again at each sync."""
    organization_folders: dict[str, Path] = Field(default_factory=dict)
    """Folders of private Blueprints by the slug of the Organization that owns them, as JSON."""
    sync_interval: float = Field(900.0, gt=0)
    """Seconds from one sync of a source to the next, give or take a tenth; 60 to 86,400 in production."""
    erase_departed_days: float = Field(30, ge=0)
    """How long private Blueprints stay after their Organization has gone, in days: locks may still name them."""
    erase_look_seconds: float = Field(3600, gt=0)
    """Seconds between two looks for what is to be erased."""
    solver_seconds: float = Field(2.0, gt=0)
    """How long the solver may look for an answer before it says what is contested."""
    secrets_folder: Path | None = None
    """Folder with one file a secret, named as sources name it; none: plugins get no secrets."""
