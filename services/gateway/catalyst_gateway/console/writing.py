"""The studio's desk: a Blueprint is written, looked at by the catalogue's own rules with each key, and handed on as a file.

Nothing is kept here. What is published comes from a repository or a registry of its source, so the desk ends with the file
and the lines that bring it there.
"""

import base64
import io
import json
import tarfile
from collections.abc import Mapping

from litestar import Response

from .asking import Answer, Api
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_DESK = "/console/studio"
AUTHORS = ("org-developer", "org-admin", "sovereign-admin")
"""Who is shown the way here; the catalogue decides who may ask."""
FILE = "blueprint.yaml"
_LARGEST = 256 * 1024
START = """\
apiVersion: catalyst.openova.io/v1
kind: Blueprint
metadata:
  name: bp-my-shop
spec:
  version: 0.1.0
  layer: application
  card:
    title: My Shop
    tagline: One line about what it is for
  visibility: unlisted
  configSchema:
    type: object
    properties:
      replicas:
        type: integer
        minimum: 1
        default: 1
  depends: []
  manifests:
    source:
      kind: HelmChart
      ref: my-shop
    upstream:
      - chart: my-shop
        version: 0.1.0
        repo: https://charts.example.org/my-shop
"""
"""What stands on an empty desk: a Blueprint that would be taken, as `catalyst blueprint new` writes it."""


@page(_DESK)
async def desk(at: Visit) -> Shown:
    """A Blueprint that begins anew, or with the text of a version: `?from=bp-ghost&version=5.94.0`."""
    blueprint, version = at.query.get("from", ""), at.query.get("version", "")
    text = await _text_of(at.api, f"blueprints/{blueprint}", version) if blueprint else START
    return await _desk(at, {"document": text})


@action(_DESK + "/look")
async def look(at: Visit) -> Shown:
    """What is wrong with the text as it stands now; asked with each pause of the keys, or by the button."""
    return await _desk(at, _given(at))


@action(_DESK + "/mend")
async def mend(at: Visit) -> Shown:
    """The desk with what has one right answer mended; the rest of the text is left as it is."""
    given = _given(at)
    try:
        said = await _asked(at, given)
    except REFUSALS as refused:
        return await _desk(at, given, Faults.of(refused))
    return await _desk(at, {**given, "document": said["mendedDocument"] or given["document"]})


@action(_DESK + "/file")
async def file(at: Visit) -> Shown:
    """The text as a file, whatever is wrong with it: who goes on elsewhere takes all along."""
    headers = {"content-disposition": f'attachment; filename="{FILE}"', "cache-control": "no-store"}
    return Response(_given(at)["document"], media_type="application/yaml", headers=headers)


def _given(at: Visit) -> dict[str, str]:
    """What stands in the form. Browsers send lines with a carriage return, files of Blueprints have none."""
    document = at.form.get("document", "").replace("\r\n", "\n")
    return {"document": document, "parent": at.form.get("parent", "")}


async def _desk(at: Visit, given: Mapping[str, str], faults: Faults = NONE) -> Shown:
    said: Answer = {}
    if given["document"].strip() and not faults:
        try:
            said = await _asked(at, given)
        except REFUSALS as refused:
            faults = Faults.of(refused)
    return at.show(
        "desk.html",
        title="Write a Blueprint",
        given=given,
        said=said,
        owners=[
            ("", "of the Sovereign alone"),
            *((f"organizations/{o}", f"and of {o}") for o in at.person.organizations),
        ],
        faults=faults,
        status=422 if faults and not at.is_partial else 200,
    )  # fmt: skip - one call


async def _asked(at: Visit, given: Mapping[str, str]) -> Answer:
    wish = {"document": given["document"], **({"parent": given["parent"]} if given.get("parent") else {})}
    return await at.api.send("POST", "/v1/catalog:lint", wish)


async def _text_of(api: Api, blueprint: str, version: str) -> str:
    """The text of a version as its author wrote it; where its bytes were not kept, its manifest as JSON, which YAML is too."""
    name = f"{blueprint}/versions/{version or '*'}"
    try:
        told = await api.get(f"/v1/catalog/{name}:readArtifact")
        if text := _manifest_in(base64.b64decode(told["data"])):
            return text
    except REFUSALS as refused:
        if Faults.of(refused).reason != "ARTIFACT_NOT_KEPT":
            raise
    return json.dumps((await api.get(f"/v1/catalog/{name}")).get("manifest", {}), indent=2, ensure_ascii=False) + "\n"


def _manifest_in(archive: bytes) -> str:
    """The manifest in the first part of an archive; empty where it is not in there whole."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as files:
            for one in files:
                if one.isfile() and one.name.rpartition("/")[2] == FILE and one.size <= _LARGEST:
                    content = files.extractfile(one)
                    return content.read(_LARGEST).decode() if content else ""
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError):
        pass
    return ""


PAGES = (desk, look, mend, file)
