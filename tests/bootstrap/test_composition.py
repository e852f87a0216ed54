"""The composition root: which rules an embedded store gets, when the whole table is judged, and what is refused."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.composition import Composition
from bursar.dynamo import AsyncEngine, DynamoError, Engine
from bursar.payments import FeeCatalogue
from bursar.payments.catalogue.clients import DEFAULT_CLIENTS
from bursar.payments.rules import payment_rules
from bursar.portal.use_cases.health import health
from bursar.rules.language.toml import rules_to_toml
from bursar.settings import Settings
from bursar.startup import CannotStart

TABLE = Settings().table
NOWHERE = "http://127.0.0.1:9/"
ANOTHER_FEE = """
[fees.ANOTHER_FEE]
name = "Another fee"
tcs_app_id = "TCSANOTHER"
versions = [{ active_from = 2026-01-01, amount = "5.00" }]
"""


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the rules documents for which a whole table was read and judged."""
    seen: list[str] = []
    whole = Engine.put_rules_document

    def noted(engine: Engine, table: str, document: str | None) -> None:
        seen.append(document or "")
        whole(engine, table, document)

    monkeypatch.setattr(Engine, "put_rules_document", noted)
    return seen


@pytest.mark.parametrize("umask", [0o000, 0o022], ids=oct)
async def test_the_data_folder_and_the_store_are_created_for_their_owner_alone(tmp_path: Path, umask: int) -> None:
    data = tmp_path / "data"
    before = os.umask(umask)
    try:
        async with Composition(Settings(data=str(data))) as composition:
            await composition.ledger()
            modes = {each.name: each.stat().st_mode & 0o777 for each in (data, *data.iterdir())}
    finally:
        os.umask(before)
    assert modes == {"data": 0o700} | dict.fromkeys(("bursar.db", "bursar.db-wal", "bursar.db-shm"), 0o600)


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("creates_store", [True, False])
async def test_a_store_that_others_may_use_is_refused_and_left_alone(
    tmp_path: Path, ending: str, creates_store: bool
) -> None:
    settings = Settings(data=str(tmp_path))
    async with Composition(settings) as composition:
        await composition.ledger()
    wide = tmp_path / f"bursar.db{ending}"
    wide.touch()
    wide.chmod(0o644)
    before = (tmp_path / "bursar.db").read_bytes()
    async with Composition(settings, creates_store=creates_store) as composition:
        with pytest.raises(CannotStart) as refused:
            await composition.store()
    assert str(refused.value) == (
        f"BURSAR_DATA: {wide}: must be usable by its owner alone; got mode 644. Run: chmod 600 {wide}"
    )
    assert (tmp_path / "bursar.db").read_bytes() == before
    wide.chmod(0o600)
    async with Composition(settings, creates_store=creates_store) as composition:
        await composition.ledger()


async def test_a_clients_file_that_others_may_use_is_refused(tmp_path: Path) -> None:
    clients = tmp_path / "clients.toml"
    clients.write_bytes(DEFAULT_CLIENTS.read_bytes())
    clients.chmod(0o640)
    async with Composition(Settings(data=str(tmp_path), clients=str(clients))) as composition:
        with pytest.raises(
            CannotStart, match=f"^BURSAR_CLIENTS: {clients}: .* got mode 640. Run: chmod 600 {clients}$"
        ):
            _ = composition.clients


@pytest.mark.parametrize(
    ("setting", "make"),
    [("webhooks", Composition.webhooks), ("paygov_client_key", Composition.paygov)],
    ids=["webhooks", "paygov_client_key"],
)
async def test_a_file_of_secrets_that_others_may_use_is_refused(
    tmp_path: Path, setting: str, make: Callable[[Composition], Awaitable[object]]
) -> None:
    secrets = tmp_path / "secrets"
    secrets.touch()
    secrets.chmod(0o640)
    settings = Settings(
        data=str(tmp_path), paygov_url=NOWHERE, payment_url=NOWHERE, paygov_client_cert=str(tmp_path / "cert.pem")
    )
    async with Composition(with_file(settings, setting, secrets)) as composition:
        with pytest.raises(
            CannotStart, match=f"^BURSAR_{setting.upper()}: {secrets}: .* got mode 640. Run: chmod 600 {secrets}$"
        ):
            await make(composition)


def with_file(settings: Settings, setting: str, path: Path) -> Settings:
    return replace(settings, **{setting: str(path)})  # type: ignore[arg-type]  # a field's name is only known here


def made_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def rules_after_a_start(folder: Path, fees: str | None = None) -> str | None:
    async with Composition(Settings(data=str(folder), fees=fees)) as composition:
        await composition.ledger()
        store = await composition.store()
        assert isinstance(store, AsyncEngine)
        return store.engine.rules_document(TABLE)


async def test_a_store_is_judged_whole_once_and_not_when_a_fee_comes(tmp_path: Path, put: list[str]) -> None:
    first = await rules_after_a_start(tmp_path)
    assert put == [first]
    assert await rules_after_a_start(tmp_path) == first
    fees = tmp_path / "fees.toml"
    fees.write_text((Path(__file__).parents[2] / "src/bursar/payments/catalogue/fees.toml").read_text() + ANOTHER_FEE)
    amended = await rules_after_a_start(tmp_path, str(fees))
    assert amended == rules_to_toml(payment_rules(FeeCatalogue.load(str(fees)))) != first
    assert put == [first]


async def test_removing_a_fee_judges_the_payments_made_for_it(tmp_path: Path, put: list[str]) -> None:
    fees = tmp_path / "fees.toml"
    fees.write_text(ANOTHER_FEE)
    first = await rules_after_a_start(tmp_path, str(fees))
    assert await rules_after_a_start(tmp_path) != first
    assert len(put) == 2


async def test_other_rules_are_put_whole(tmp_path: Path, put: list[str]) -> None:
    first = await rules_after_a_start(tmp_path)
    async with Composition(Settings(data=str(tmp_path))) as composition:
        store = await composition.store()
        assert isinstance(store, AsyncEngine)
        store.engine.amend_rules_document(TABLE, 'partition_key = "pk"\nsort_key = "sk"\n')
    assert await rules_after_a_start(tmp_path) == first
    assert put == [first, first]


async def test_a_command_beside_a_portal_leaves_its_fees_in_force(tmp_path: Path) -> None:
    fees = tmp_path / "fees.toml"
    fees.write_text(ANOTHER_FEE)
    portals = await rules_after_a_start(tmp_path, str(fees))
    async with Composition(Settings(data=str(tmp_path)), creates_store=False) as command:
        await command.ledger()
        store = await command.store()
        assert isinstance(store, AsyncEngine)
        assert store.engine.rules_document(TABLE) == portals


@pytest.mark.parametrize("named", ["data", "store"])
async def test_a_command_beside_a_portal_makes_no_store(tmp_path: Path, named: str) -> None:
    path = tmp_path / "there" / "bursar.db"
    settings = Settings(data=str(path.parent)) if named == "data" else Settings(store=f"file:{path}")
    async with Composition(settings, creates_store=False) as command:
        with pytest.raises(CannotStart) as refused:
            await command.ledger()
    assert str(refused.value) == f"BURSAR_{named.upper()}: there is no store at {path}"
    assert made_in(tmp_path) == []


async def test_a_command_beside_a_portal_makes_no_table(tmp_path: Path) -> None:
    await rules_after_a_start(tmp_path)
    async with Composition(Settings(data=str(tmp_path), table="bursar-payment"), creates_store=False) as command:
        with pytest.raises(CannotStart, match="BURSAR_TABLE: there is no table bursar-payment in file:"):
            await command.ledger()
        store = await command.store()
        assert (await store.call("ListTables", {}))["TableNames"] == [TABLE]


async def test_a_webhook_of_an_unknown_client_is_refused_at_start(tmp_path: Path) -> None:
    file = tmp_path / "webhooks.toml"
    file.touch(0o600)
    line = 'client = "{}"\nurl = "https://a.example/"\nsecret = "a secret of more than thirty-two characters"\n'
    file.write_text("[webhooks.known]\n" + line.format("development") + "[webhooks.lost]\n" + line.format("dawsn"))
    async with Composition(Settings(data=str(tmp_path), webhooks=str(file))) as composition:
        with pytest.raises(CannotStart) as refused:
            await composition.webhooks()
    assert str(refused.value) == (
        f"BURSAR_WEBHOOKS: {file}: webhooks.lost.client: must be the name of a client; got 'dawsn'"
    )
    file.write_text("[webhooks.known]\n" + line.format("development"))
    async with Composition(Settings(data=str(tmp_path), webhooks=str(file))) as composition:
        assert await composition.webhooks() is not None


async def test_a_private_webhook_is_refused_at_start_unless_it_is_allowed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "webhooks.toml"
    file.touch(0o600)
    secret = 'secret = "a secret of more than thirty-two characters"\n'
    file.write_text(f'[webhooks.mine]\nclient = "development"\nurl = "https://127.0.0.1:9000/"\n{secret}')
    settings = Settings(data=str(tmp_path), webhooks=str(file))
    async with Composition(settings) as composition:
        with pytest.raises(CannotStart) as refused:
            await composition.webhooks()
    assert str(refused.value) == (
        f"BURSAR_WEBHOOKS: {file}: webhooks.mine.url: 127.0.0.1 is not a public address; "
        "BURSAR_WEBHOOKS_PRIVATE_TARGETS can allow its network"
    )
    file.write_text(file.read_text().replace("https:", "http:"))
    private = replace(settings, webhooks_private_targets="127.0.0.0/8")
    async with Composition(private) as composition:
        with pytest.raises(CannotStart, match="BURSAR_WEBHOOKS_PLAIN_HTTP=true"):
            await composition.webhooks()
    with caplog.at_level("WARNING", "bursar.bootstrap"):
        async with Composition(replace(private, webhooks_plain_http=True)) as composition:
            assert await composition.webhooks() is not None
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "WEBHOOKS MAY USE PLAIN HTTP",
        "WEBHOOKS MAY REACH PRIVATE ADDRESSES",
    ]


async def test_the_portals_health_knows_how_the_stores_last_write_went(tmp_path: Path) -> None:
    async with Composition(Settings(data=str(tmp_path))) as composition:
        portal, store = await composition.portal(asks_paygov=False), await composition.store()
        assert isinstance(store, AsyncEngine)
        assert (await health(portal)).checks["store"].status == "ok"
        store.engine._storage.connection.execute("PRAGMA query_only=1")
        with pytest.raises(DynamoError):
            await store.call("DeleteTable", {"TableName": TABLE})
        assert (await health(portal)).checks["store"].message == "the last write failed: ReadOnlyError"


async def test_a_store_that_cannot_be_written_is_one_line_at_start(tmp_path: Path) -> None:
    async with Composition(Settings(data=str(tmp_path))) as composition:
        await composition.ledger()
        store = await composition.store()
        assert isinstance(store, AsyncEngine)
        store.engine._storage.connection.execute("PRAGMA query_only=1")
        with pytest.raises(CannotStart, match=r"^the table bursar-payments in file:.*could not be written"):
            await composition.portal(asks_paygov=False)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"paygov_client_key": "key.pem"}, "needs its client certificate"),
        ({"paygov_bearer": "b\u00e9"}, "must be printable ASCII"),
    ],
)
async def test_a_setting_that_pay_govs_client_refuses_is_one_line(given: dict[str, Any], problem: str) -> None:
    url = "http://127.0.0.1:9/"
    async with Composition(Settings(paygov_url=url, payment_url=url, **given)) as composition:
        with pytest.raises(CannotStart, match=problem) as refused:
            await composition.paygov()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("timeout_s", "lease_s"), [(20.0, 90.0), (60.0, 180.0)])
async def test_the_portal_has_the_bounds_of_its_settings(tmp_path: Path, timeout_s: float, lease_s: float) -> None:
    settings = Settings(data=str(tmp_path / "data"), paygov_timeout_s=timeout_s, refresh_min_s=7.5)
    async with Composition(settings) as composition:
        bounds = (await composition.portal(asks_paygov=False)).settings
    assert (bounds.paygov_timeout_s, bounds.lease_s, bounds.refresh_min_s) == (timeout_s, lease_s, 7.5)
