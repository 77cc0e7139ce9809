"""Settings: the environment alone, and every fault of a start at once."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import DaemonSettings, Network, Origin, Target, Url
from catalyst_mesh.settings import SHARED, SettingsFault
from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic_settings import SettingsConfigDict

CANARY = "canary-9b2f"


class ShopSettings(DaemonSettings):
    model_config = SettingsConfigDict(env_prefix="CATALYST_BILLING_")
    workers: int = 4
    """How many workers run; 1 to 64."""
    currencies: list[str] = ["EUR"]
    """Currencies that are sold in, as JSON."""


def load(argv: list[str] | None = None, **given: str) -> ShopSettings:
    return ShopSettings.load({f"CATALYST_BILLING_{name.upper()}": text for name, text in given.items()}, argv or [])


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsFault) as caught:
        ShopSettings.load(environ, [])
    return str(caught.value).splitlines()[1:]


def test_the_environment_that_was_handed_over_is_read_and_no_other() -> None:
    os.environ["CATALYST_BILLING_WORKERS"] = "63"
    try:
        assert load(listen="127.0.0.1:9").listen == "127.0.0.1:9"
        assert load().workers == 4
        assert ShopSettings().workers == 4
        assert ShopSettings.load(argv=[]).workers == 63
    finally:
        del os.environ["CATALYST_BILLING_WORKERS"]


def test_lists_and_tables_are_read_as_json() -> None:
    settings = load(currencies='["EUR", "OMR"]', plugins='{"payment_provider:fake": {"delay": 1}}')
    assert settings.currencies == ["EUR", "OMR"]
    assert settings.plugins == {"payment_provider:fake": {"delay": 1}}


def test_all_faults_are_told_at_once() -> None:
    found = faults(
        {
            "CATALYST_BILLING_WORKERS": "many",
            "CATALYST_BILLING_WORKER": "4",
            "CATALYST_BILING_LISTEN": "127.0.0.1:1",
            "CATALYST_BILLING_PLUGINS": "{",
            "CATALYST_BILLING_NATS_TOKEN_FILE": "/no/such/file",
        }
    )
    assert len(found) == 5
    for name in ("WORKERS", "WORKER:", "CATALYST_BILING_LISTEN", "PLUGINS", "NATS_TOKEN_FILE"):
        assert [line for line in found if name in line], name


def test_a_fault_says_what_the_setting_means() -> None:
    assert "How many workers run; 1 to 64." in faults({"CATALYST_BILLING_WORKERS": "many"})[0]


def test_a_fault_never_shows_what_was_given(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    found = faults(
        {
            "CATALYST_BILLING_WORKERS": CANARY,
            "CATALYST_BILLING_PLUGINS": CANARY,
            "CATALYST_BILLING_CURRENCIES_FILE": str(secret),
        }
    )
    assert len(found) == 3
    assert CANARY not in "\n".join(found)


def test_names_of_other_daemons_and_shared_names_stop_nothing() -> None:
    others = {"CATALYST_PDM_ANYTHING": "x", "CATALYST_DEV_X": "y", "PATH": "/bin"} | dict.fromkeys(SHARED, "1")
    assert ShopSettings.load(others, []).workers == 4


def test_a_secret_comes_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{CANARY}\n")
    settings = load(nats_token_file=str(secret))
    assert settings.nats_token.get_secret_value() == CANARY


def test_a_table_may_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "plugins.json").write_text('{"a:b": {}}')
    assert load(plugins_file=str(tmp_path / "plugins.json")).plugins == {"a:b": {}}


def test_a_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in faults({"CATALYST_BILLING_NATS_TOKEN_FILE": str(tmp_path / "binary")})[0]


def test_a_setting_named_file_is_a_path_and_is_not_opened() -> None:
    assert load(jwks_file="/no/such/jwks.json").jwks_file == Path("/no/such/jwks.json")


def test_print_config_shows_value_and_origin_and_masks_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(CANARY)
    url = f"postgresql+asyncpg://shop:{CANARY}@db.example/shop"
    with pytest.raises(SystemExit) as ended:
        load(["--print-config"], nats_token_file=str(tmp_path / "token"), database_url=url)
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert CANARY not in shown
    assert "CATALYST_BILLING_DATABASE_URL=postgresql+asyncpg://shop:**********@db.example/shop  # environment" in shown
    assert "CATALYST_BILLING_NATS_TOKEN=**********  # file" in shown
    assert "CATALYST_BILLING_WORKERS=4  # default" in shown


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    settings = ShopSettings(nats_token=SecretStr(CANARY))
    with pytest.raises(ValidationError):
        settings.workers = 5
    assert CANARY not in repr(settings) + str(settings)


def test_the_password_of_a_url_is_not_in_the_repr_of_settings() -> None:
    settings = load(database_url=f"postgresql+asyncpg://shop:{CANARY}@db.example/shop")
    assert CANARY in settings.database_url
    assert CANARY not in f"{settings} {settings!r}"
    assert "shop:**********@db.example/shop" in repr(settings)


def test_a_daemon_with_wrong_settings_ends_without_a_traceback(tmp_path: Path) -> None:
    code = "from catalyst_mesh import DaemonSettings as D; D.model_config['env_prefix'] = 'CATALYST_PDM_'; D.load()"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"CATALYST_NONSENSE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "CATALYST_NONSENSE: there is no such setting" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_each_peer_gets_the_token_that_is_bound_to_it(tmp_path: Path) -> None:
    (tmp_path / "catalog").write_text("for the catalog\n")
    (tmp_path / "all").write_text("for everybody")
    assert (
        load(token_folder=str(tmp_path), token_file=str(tmp_path / "all")).token_for("catalog")() == "for the catalog"
    )
    assert load(token_file=str(tmp_path / "all")).token_for("catalog")() == "for everybody"


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (
            Url,
            ("", "https://a.example:8443/realms/b", "http://[::1]:1"),
            ("a.example", "ftp://a", "https://", "https://a b"),
        ),
        (Origin, ("https://a.example",), ("https://a.example/", "")),
        (
            Target,
            ("", "a.example:7400", "[::1]:7400", "ipv4:127.0.0.1:1,127.0.0.2:2", "ipv6:[::1]:1,[::2]:2", "dns:///a:1"),
            ("a.example", "https://a:1", "a:b", "ipv4:127.0.0.1", "ipv4:127.0.0.1:1,", "dns:///a"),
        ),
        (
            Network,
            ("10.0.0.0/8", "10.0.0.1", "fd00::/8"),
            ("10.0.0.1/8", "10.0.0.0/33", "256.0.0.0/8", "proxy", ":::/8"),
        ),
    ],
    ids=["url", "origin", "target", "network"],
)
def test_an_address_that_is_none_is_told_at_the_start(kind: Any, right: Sequence[str], wrong: Sequence[str]) -> None:
    judge: TypeAdapter[str] = TypeAdapter(kind)
    assert [judge.validate_python(text) for text in right] == list(right)
    for text in wrong:
        with pytest.raises(ValidationError):
            judge.validate_python(text)
