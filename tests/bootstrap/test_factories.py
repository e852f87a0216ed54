"""Commands beside a portal refuse a store that is missing or that other users may use."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.cli import bursar

BESIDE_A_PORTAL = (
    ["attention"],
    ["audit"],
    ["erase", "--ended-before-days", "30", "--by", "Ada", "--reason", "a test"],
    ["lake", "verify"],
    ["lake", "write"],
    ["report", "fees_by_month"],
    ["resolve", "bnr86aqwgh5kn0jxb5tdm", "--as", "failed", "--by", "Ada", "--reason", "a test"],
    ["sql", "SELECT 1"],
    ["sweep", "--once"],
    ["webhooks"],
    ["webhooks", "deliver"],
    ["webhooks", "retry", "a/b/1"],
    ["webhooks", "test", "status"],
    ["webhooks", "replay", "--from", "11/01/2026"],
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    webhooks = tmp_path / "webhooks.toml"
    webhooks.touch(0o600)
    for name, value in {
        "DATA": tmp_path / "mistyped",
        "WEBHOOKS": webhooks,
        "PAYGOV_URL": "http://127.0.0.1:9/",
        "PAYMENT_URL": "http://127.0.0.1:9/",
    }.items():
        monkeypatch.setenv(f"BURSAR_{name}", str(value))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", BESIDE_A_PORTAL, ids=" ".join)
def test_a_mistyped_folder_is_one_line_and_nothing_is_made(tmp_path: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(bursar, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"bursar: BURSAR_DATA: there is no store at {tmp_path / 'mistyped' / 'bursar.db'}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["webhooks.toml"]


@pytest.mark.parametrize("arguments", [["audit"], ["sql", "SELECT 1"]], ids=" ".join)
def test_a_store_that_others_may_use_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    store = tmp_path / "mistyped" / "bursar.db"
    store.parent.mkdir()
    store.touch(0o644)
    result = CliRunner().invoke(bursar, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"bursar: BURSAR_DATA: {store}: must be usable by its owner alone; got mode 644. Run: chmod 600 {store}\n"
    )


def test_an_audit_of_another_store_names_what_named_it(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    result = CliRunner().invoke(bursar, ["audit", "--store", f"file:{path}"])
    assert result.exit_code == 2
    assert result.stderr == f"bursar: BURSAR_STORE or --store: there is no store at {path}\n"
    assert not path.exists()
