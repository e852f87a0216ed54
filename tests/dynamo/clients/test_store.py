"""The URLs of stores."""

import random
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Store, open_store
from tests.support.dynamo.tables import item, table


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


async def test_a_store_that_must_exist_is_not_made(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'portal.db'}"
    parts: dict[str, Any] = {"clock": lambda: 0.0, "randomness": random.Random(1), "must_exist": True}
    with pytest.raises(FileNotFoundError, match=f"^there is no store at {tmp_path / 'portal.db'}$"):
        await open_store(url, **parts)
    assert files_in(tmp_path) == []
    await (await opened(url)).close()
    await (await open_store(url, **parts)).close()
    await (await open_store("file::memory:", **parts)).close()


async def test_memory_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await opened("file::memory:")
    await store.call("CreateTable", table())
    await store.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("url", ["", "file:", "postgres://localhost", "portal.db"])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="store URL: must"):
        await opened(url)
