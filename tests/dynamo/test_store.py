"""Which store a URL names."""

import random
from pathlib import Path

import pytest

from bursar.dynamo import Store, open_store
from tests.dynamo.tables_for_tests import item, table


async def opened(url: str) -> Store:
    return await open_store(url, clock=lambda: 0.0, randomness=random.Random(1))


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
async def test_a_file_url_names_a_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a portal.db"
    store = await opened(form.format(path).replace(" ", "%20"))
    await store.call("CreateTable", table())
    await store.call("PutItem", {"TableName": "orders", "Item": item(pk="a", sk="1")})
    await store.close()
    assert path.exists()


async def test_memory_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await opened("file::memory:")
    await store.call("CreateTable", table())
    await store.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("url", ["", "file:", "postgres://localhost", "portal.db"])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="store's URL"):
        await opened(url)
