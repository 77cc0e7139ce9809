"""What `catalyst catalog mirror` writes of signatures."""

import hashlib
import json
from pathlib import Path

from catalyst_cli.layouts import NAMED, Bundle, Layout
from catalyst_testkit.fake_registry import archive

GOOD = b'{"payload": "e30=", "signature": "c2ln"}'


def test_what_is_no_signature_is_left_behind_and_holds_up_no_mirror(tmp_path: Path) -> None:
    content = archive({"blueprint.yaml": b"x"})
    manifest = json.dumps({"layers": [{"digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}]}).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    said = (b"{", b"[]", b"\xff", b'{"payload": 7}', b'{"payload": "e30="}', GOOD)
    layout = Layout.at(tmp_path)
    layout.add(Bundle("bp-shop", "1.0.0", digest, content, manifest, said))
    layout.save()
    named = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
    (kept,) = [one["digest"] for one in named if one["annotations"][NAMED].endswith(".sig")]
    beside = json.loads((tmp_path / "blobs" / "sha256" / kept.removeprefix("sha256:")).read_bytes())
    assert [layer["annotations"]["dev.cosignproject.cosign/signature"] for layer in beside["layers"]] == ["c2ln"]
