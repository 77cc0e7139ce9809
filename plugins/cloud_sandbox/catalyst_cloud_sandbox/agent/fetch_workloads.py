"""`python -m catalyst_cloud_sandbox.agent.fetch_workloads`: pull commits of Applications and answer their HelmReleases, then end.

A process of its own, as `fetch` is, one for all that are to be pulled. In: one JSON object on stdin (username, password, folder,
wanted: application, uid, url, branch, commit of each). Out: a JSON list on stdout, `{"releases", "problem"}` for each in turn.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import fetch

FILE = b"release.yaml"


def pulled(one: Mapping[str, str], folder: Path, username: str, password: str) -> dict[str, Any]:
    """What one commit wishes, or a sentence about why that is unknown."""
    _, environment, _, id = one["application"].split("/")
    try:
        copy = folder / environment / id
        _begin(copy, one["uid"])
        repo, commit = fetch.fetch(
            one["url"], one["branch"], str(copy / "git"), commit=one["commit"], username=username, password=password
        )
        entry = repo[commit.tree]
        if FILE not in entry:
            raise fetch.Unusable("the commit has no release.yaml")
        documents = [("release.yaml", found) for found in fetch.parse("release.yaml", repo[entry[FILE][1]].data)]
        return {"releases": fetch.releases(documents, environment), "problem": ""}
    except Exception as error:  # whatever the far side did: one sentence, and what was there stays
        # Clients quote the URL in their errors, never the login, which is sent in a header.
        return {"releases": [], "problem": f"{type(error).__name__}: {error}"[:500].replace("\n", " ")}


def _begin(copy: Path, uid: str) -> None:
    """A copy of another life of the Application is none of this one's."""
    mark = copy / "uid"
    if mark.exists() and mark.read_text() != uid:
        shutil.rmtree(copy)
    copy.mkdir(parents=True, exist_ok=True)
    mark.write_text(uid)


def main() -> int:
    """Run once."""
    asked = json.load(sys.stdin)
    login = asked["username"], asked["password"]
    json.dump([pulled(one, Path(asked["folder"]), *login) for one in asked["wanted"]], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
