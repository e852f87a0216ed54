"""A DynamoDB and a Pay.gov in another thread, as the Lambda functions find them.

With policies, the DynamoDB verifies signatures, and each access key may only do what its policy allows.
"""

import asyncio
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from bursar.bootstrap.composition import Composition
from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server.credentials import AccessKeys
from bursar.dynamo.server.iam_scope import PartitionNames
from bursar.paygov.simulator import Simulator
from bursar.paygov.simulator.server import Addresses
from bursar.paygov.simulator.server import serving as serving_paygov
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.settings import Settings
from bursar.web.sigv4 import Identity
from tests.support.dynamo.server_clients import serving as serving_dynamo

START_S_MAX: Final = 120.0


class Backend:
    """A DynamoDB with the payments table and the webhooks' table, and Pay.gov's simulator."""

    def __init__(self) -> None:
        self.simulator = Simulator(system_clock, random.Random(1))
        self.store_url = ""
        self.paygov: Addresses
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(START_S_MAX)
        asyncio.run(self._make_tables())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._engine = AsyncEngine(Engine.open(":memory:"))
        async with serving_dynamo(self._engine) as dynamo, serving_paygov(self.simulator) as self.paygov:
            self.store_url = dynamo.url.replace("http", "dynamodb+http")
            self._ready.set()
            await self._over.wait()
        await self._engine.close()

    async def _make_tables(self) -> None:
        async with Composition(Settings(store=self.store_url)) as parts:
            await parts.ledger()
            await WebhookQueue(await parts.store()).create_table()

    def guarded(self, folder: Path, policies: Mapping[str, Any]) -> "Guarded":
        """Serve the same tables on another port to the access keys of ``policies``: name of a key → its policy."""
        return Guarded(self._loop, self._engine, _access_keys(folder, policies))


class Guarded:
    """A server of a backend's tables that knows access keys. Use it as a context manager, from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: AsyncEngine, access: AccessKeys) -> None:
        self._loop = loop
        self._access = access
        self._serving = serving_dynamo(engine, access=self)
        self.refusals: list[str] = []
        """The text of each request that a policy did not allow."""
        self.url = ""

    @property
    def signed_region(self) -> str | None:
        return self._access.signed_region

    def secret_for(self, access_key: str) -> str | None:
        return self._access.secret_for(access_key)

    def authorise(
        self, identity: Identity, operation: str, request: Mapping[str, Any], partition_names: PartitionNames
    ) -> None:
        try:
            self._access.authorise(identity, operation, request, partition_names)
        except DynamoError as error:
            self.refusals.append(str(error))
            raise

    def __enter__(self) -> "Guarded":
        server = asyncio.run_coroutine_threadsafe(self._serving.__aenter__(), self._loop).result(START_S_MAX)
        self.url = server.url.replace("http", "dynamodb+http")
        return self

    def __exit__(self, *failure: object) -> None:
        leaving = self._serving.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, self._loop).result(START_S_MAX)


def _access_keys(folder: Path, policies: Mapping[str, Any]) -> AccessKeys:
    lines = []
    for name, policy in policies.items():
        (folder / f"{name}.json").write_bytes(orjson.dumps(policy))
        lines.append(f'[[key]]\naccess_key = "{name}"\nsecret = "{secret_of(name)}"\npolicy = "{name}.json"\n')
    path = folder / "credentials.toml"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines))
    return AccessKeys.load(path)


def secret_of(access_key: str) -> str:
    """Return the secret of an access key of :meth:`Backend.guarded`."""
    return f"secret-of-{access_key}"
