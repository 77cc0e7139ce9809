"""Manifests: every fault at once, and no import needed to read one."""

from pathlib import Path

import pytest
from catalyst_sdk import SDK_VERSION, Manifest, ManifestFault, NotSupported, Permanent, RateLimited, load_manifest
from catalyst_sdk.manifests import KINDS

GOOD = 'kind = "registrar"\nname = "acme"\nsdk = ">=1,<3"\n'


def read(folder: Path, text: str | bytes) -> Manifest:
    path = folder / "manifest.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_manifest(path)


def faults(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(ManifestFault) as caught:
        read(folder, text)
    return caught.value.faults


def test_a_small_manifest_is_enough_and_forbids_unknown_configuration(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert (manifest.kind, manifest.name, manifest.capabilities) == ("registrar", "acme", ())
    assert manifest.config == {"type": "object", "additionalProperties": False}


def test_what_the_kind_adds_is_kept_apart(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD + "[naming]\ncode = 'ac'\n").extra == {"naming": {"code": "ac"}}


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    bad = 'kind = "toaster"\nname = "A-B"\nsdk = "1"\ncapabilities = "x"\nconfig = 1\n[limits]\nconcurrency = 0\n'
    found = faults(tmp_path, bad)
    assert [fault.split(":")[0] for fault in found] == [
        "kind", "name", "sdk", "capabilities", "config", "limits.concurrency",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    ["", "kind = ", b"\xff\xfe", GOOD + "capabilities = 5", GOOD + "capabilities = [1]", GOOD + "limits = 'x'",
     GOOD + "[limits]\nconcurrency = 'many'", GOOD + "[limits]\ncall_seconds = true"],
)  # fmt: skip
def test_rubbish_is_a_fault_and_no_other_error(tmp_path: Path, bad: str | bytes) -> None:
    assert faults(tmp_path, bad)


def test_a_manifest_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ManifestFault, match=r"manifest\.toml"):
        load_manifest(tmp_path / "manifest.toml")


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [(">=1", [1, 2, 3]), (">=1,<3", [1, 2]), ("==2", [2]), (">1,<=3", [2, 3]), (" >= 1 , < 2 ", [1]), (">3", [])],
)
def test_a_range_speaks_the_versions_inside_it(tmp_path: Path, wanted: str, spoken: list[int]) -> None:
    manifest = read(tmp_path, GOOD.replace(">=1,<3", wanted))
    assert [version for version in (1, 2, 3) if manifest.speaks(version)] == spoken


@pytest.mark.parametrize("text", ["1", "=1", ">=1.0", ">=1,", ">=1 <2", "", "*"])
def test_what_is_no_range_is_a_fault(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, GOOD.replace(">=1,<3", text))[0].startswith("sdk")


def test_our_own_plugins_speak_the_version_of_this_package() -> None:
    manifests = [load_manifest(p) for p in Path(__file__).parents[3].glob("plugins/*/catalyst_*/manifest.toml")]
    assert manifests
    assert all(manifest.speaks(SDK_VERSION) and manifest.kind in KINDS for manifest in manifests)


def test_failures_say_what_happened_even_without_words() -> None:
    from datetime import timedelta

    assert str(Permanent("ZONE_HELD")) == "ZONE_HELD"
    assert str(NotSupported("dnssec")) == "capability dnssec is missing"
    slow = RateLimited("slow down", retry_after=timedelta(seconds=3), provider="acme", zone="z")
    assert (slow.retry_after.seconds, slow.provider, slow.metadata) == (3, "acme", {"zone": "z"})
