"""Several clients read and write at once, over HTTP from several processes, with kill -9 in between.

Items are linearizable, transactions strictly serializable. HISTORIES=20 HISTORY_TURNS=200 records more of them;
``pytest -s`` prints the number of judged operations.
"""

import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.histories import (
    NEVER,
    NONE,
    REFUSED,
    Append,
    Call,
    ReadAll,
    append_anomalies,
    beginning,
    linearizable,
    register,
    registers,
)
from tests.support.dynamo.recorded import Recorder, Turn, ask, run_clients
from tests.support.dynamo.served import Connection, Served, served

HISTORIES = int(os.environ.get("HISTORIES", "1"))
TURNS = int(os.environ.get("HISTORY_TURNS", "40"))
CLIENTS = 8
WORKERS = 2
TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
KEYS = ("x", "y", "z")
ACCOUNTS = tuple("abcdef")
OPENING_BALANCE = 100


def on(key: str, **members: Any) -> dict[str, Any]:
    return {"TableName": "items", "Key": {"pk": {"S": key}}, **members}


def number_of(item: dict[str, Any] | None) -> int | str:
    return int(item["n"]["N"]) if item and "n" in item else NONE


def code_of(answer: dict[str, Any]) -> str:
    return str(answer["__type"]).partition("#")[2]


async def record(path: str, turn: Turn, seed: int, *, kill: bool = True) -> None:
    """Run clients on two processes; kill one of them, then all, then run clients on new ones."""
    for phase in range(2 if kill else 1):
        with served(path, workers=WORKERS) as server:
            if phase == 0:
                assert (await ask(server, "CreateTable", TABLE))[0] == 200
            half = CLIENTS * TURNS // 2
            when = {half // 2: _killer(server), half: server.kill} if kill and phase == 0 else {}
            await run_clients(server, turn, clients=CLIENTS, turns=TURNS, seed=seed * 2 + phase, when=when)
    assert check_store(path) == []


def _killer(server: Served) -> Callable[[], None]:
    return lambda: os.kill(server.workers()[0], signal.SIGKILL)


def summary(calls: list[Call]) -> str:
    unanswered = sum(call.answered == NEVER for call in calls)
    return f"{len(calls):,} calls, {unanswered} without an answer"


# Items ----------------------------------------------------------------------------------------------------------


class OneItemClients:
    """Every way to read and write one item, each with an answer that shows the item."""

    def __init__(self) -> None:
        self.histories: dict[str, Recorder] = {key: Recorder() for key in KEYS}
        self._fresh = iter(range(1, 1_000_000))
        self._seen: dict[str, Any] = dict.fromkeys(KEYS, NONE)

    async def turn(self, connection: Connection, client: str, luck: random.Random) -> None:
        key, value = luck.choice(KEYS), next(self._fresh)
        expected = self._seen[key]
        old = {"ReturnValues": "ALL_OLD"}
        add = {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
        requests: list[tuple[Any, str, dict[str, Any]]] = [
            (("read",), "GetItem", on(key, ConsistentRead=True)),
            (("read",), "GetItem", on(key, ConsistentRead=True)),
            (("write", value), "PutItem", {"TableName": "items", "Item": _item(key, value), **old}),
            (("cas", expected, value), "PutItem", _compare_and_set(key, expected, value)),
            (("cas", expected, value), "PutItem", _compare_and_set(key, expected, value)),
            (("add", 1), "UpdateItem", on(key, ReturnValues="UPDATED_NEW", **add)),
            (("delete",), "DeleteItem", on(key, **old)),
        ]
        action, operation, request = luck.choice(requests)

        def read(status: int, answer: dict[str, Any]) -> Any:
            if status != 200:
                assert code_of(answer) == "ConditionalCheckFailedException", answer
                self._seen[key] = number_of(answer.get("Item"))
                return ("refused", self._seen[key])
            if action[0] == "cas":
                self._seen[key] = value
                return "ok"
            self._seen[key] = number_of(answer.get("Item") or answer.get("Attributes"))
            return self._seen[key]

        await self.histories[key].call(connection, client, action, (operation, request), read)


def _item(key: str, value: int) -> dict[str, Any]:
    return {"pk": {"S": key}, "n": {"N": str(value)}}


def _compare_and_set(key: str, expected: Any, value: int) -> dict[str, Any]:
    request = {"TableName": "items", "Item": _item(key, value), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if expected == NONE:
        return {**request, "ConditionExpression": "attribute_not_exists(pk)"}
    return {
        **request,
        "ConditionExpression": "n = :e",
        "ExpressionAttributeValues": {":e": {"N": str(expected)}},
    }


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_each_item_is_linearizable(tmp_path: Path, seed: int) -> None:
    clients = OneItemClients()
    await record(str(tmp_path / "store.db"), clients.turn, seed)
    for key, history in clients.histories.items():
        print(f"\n{key}: {summary(history.calls)}", end="")
        assert linearizable(history.calls, register, NONE)
        spoilt = _with_a_wrong_read(history.calls, lambda seen: 1_000_000)
        assert not linearizable(spoilt, register, NONE)


def _with_a_wrong_read(calls: list[Call], spoil: Callable[[Any], Any]) -> list[Call]:
    """Return the beginning of the history, before any kill, with another result in its last read."""
    calls = beginning(calls, min((call.invoked for call in calls if call.answered == NEVER), default=NEVER))
    reads = [call for call in calls if _kind(call) in ("read", "get") and call.answered != NEVER]
    last = max(reads, key=_invoked)
    return [replace(call, answer=spoil(call.answer)) if call is last else call for call in calls]


def _kind(call: Call) -> object:
    assert isinstance(call.action, tuple)
    return call.action[0]


def _invoked(call: Call) -> int:
    return call.invoked


# Transactions ---------------------------------------------------------------------------------------------------


class TransactionClients:
    """Transactions over three items: conditional writes of two or three, reads of all."""

    def __init__(self) -> None:
        self.history = Recorder()
        self._fresh = iter(range(1, 1_000_000))
        self._seen: dict[str, Any] = dict.fromkeys(KEYS, NONE)

    async def turn(self, connection: Connection, client: str, luck: random.Random) -> None:
        keys = tuple(sorted(luck.sample(KEYS, luck.choice((2, 3)))))
        if luck.random() < 0.5:
            gets = [{"Get": on(key)} for key in keys]
            operation = ("TransactGetItems", {"TransactItems": gets})
            await self.history.call(connection, client, ("get", keys), operation, self._read(keys))
            return
        value = next(self._fresh)
        writes = tuple((key, luck.choice((None, self._seen[key])), value) for key in keys)
        puts = [
            {
                "Put": {"TableName": "items", "Item": _item(key, value)}
                if expected is None
                else _put_if(key, expected, value)
            }
            for key, expected, value in writes
        ]
        operation = ("TransactWriteItems", {"TransactItems": puts})
        await self.history.call(connection, client, ("write", writes), operation, _written(keys))

    def _read(self, keys: tuple[str, ...]) -> Callable[[int, dict[str, Any]], Any]:
        def read(status: int, answer: dict[str, Any]) -> Any:
            assert status == 200, answer
            seen = tuple(number_of(response.get("Item")) for response in answer["Responses"])
            self._seen.update(zip(keys, seen, strict=True))
            return seen

        return read


def _put_if(key: str, expected: Any, value: int) -> dict[str, Any]:
    return _compare_and_set(key, expected, value)


def _written(keys: tuple[str, ...]) -> Callable[[int, dict[str, Any]], Any]:
    def read(status: int, answer: dict[str, Any]) -> Any:
        if status == 200:
            return "ok"
        codes = [reason["Code"] for reason in answer["CancellationReasons"]]
        assert set(codes) <= {"None", "ConditionalCheckFailed"}, answer
        return ("refused", tuple(key for key, code in zip(keys, codes, strict=True) if code != "None"))

    return read


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_transactions_have_one_order_that_explains_every_answer(tmp_path: Path, seed: int) -> None:
    clients = TransactionClients()
    await record(str(tmp_path / "store.db"), clients.turn, seed)
    calls = clients.history.calls
    print(f"\n{summary(calls)}", end="")
    assert linearizable(calls, registers, ())
    spoilt = _with_a_wrong_read(calls, lambda seen: (*seen[:-1], 1_000_000))
    assert not linearizable(spoilt, registers, ())


class AppendClients:
    """Transactions that append to several lists, some of them conditional, and reads of several lists."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.history = Recorder()
        self._keys = keys
        self._fresh = iter(range(1, 1_000_000))

    async def turn(self, connection: Connection, client: str, luck: random.Random) -> None:
        keys = tuple(sorted(luck.sample(self._keys, 3)))
        if luck.random() < 0.4:
            operation = ("TransactGetItems", {"TransactItems": [{"Get": on(key)} for key in keys]})
            await self.history.call(connection, client, ReadAll(keys), operation, _lists)
            return
        value = next(self._fresh)
        update = {
            "UpdateExpression": "SET l = list_append(if_not_exists(l, :none), :v)",
            "ExpressionAttributeValues": {":v": {"L": [{"N": str(value)}]}, ":none": {"L": []}, ":max": {"N": "60"}},
            "ConditionExpression": "attribute_not_exists(l) OR size(l) < :max",
        }
        operation = ("TransactWriteItems", {"TransactItems": [{"Update": on(key, **update)} for key in keys]})
        await self.history.call(connection, client, Append(value, keys), operation, _appended)


def _lists(status: int, answer: dict[str, Any]) -> Any:
    assert status == 200, answer
    return tuple(_list(response.get("Item", {})) for response in answer["Responses"])


def _list(item: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(element["N"]) for element in item.get("l", {"L": []})["L"])


def _appended(status: int, answer: dict[str, Any]) -> Any:
    if status == 200:
        return "ok"
    assert code_of(answer) == "TransactionCanceledException", answer
    return REFUSED


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_transactions_that_append_to_lists_show_no_anomaly(tmp_path: Path, seed: int) -> None:
    keys = tuple(f"list {number}" for number in range(6))
    clients = AppendClients(keys)
    path = str(tmp_path / "store.db")
    await record(path, clients.turn, seed)
    with served(path) as server:
        _, answer = await ask(server, "TransactGetItems", {"TransactItems": [{"Get": on(key)} for key in keys]})
    final = dict(zip(keys, _lists(200, answer), strict=True))
    calls = clients.history.calls
    print(f"\n{summary(calls)}, {sum(map(len, final.values()))} values", end="")
    assert append_anomalies(calls, final) == []
    longest = max(final, key=lambda key: len(final[key]))
    swapped = (*final[longest][:-2], *reversed(final[longest][-2:]))
    assert append_anomalies(calls, {**final, longest: swapped})


# Money ----------------------------------------------------------------------------------------------------------


class BankClients:
    """Transfers between accounts that may not be overdrawn, and reads of all balances at once."""

    def __init__(self) -> None:
        self.totals: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.acknowledged: dict[str, int] = defaultdict(int)

    async def turn(self, connection: Connection, client: str, luck: random.Random) -> None:
        if luck.random() < 0.3:
            _, answer = await connection.call("TransactGetItems", {"TransactItems": [{"Get": on(a)} for a in ACCOUNTS]})
            balances = [int(number_of(response.get("Item"))) for response in answer["Responses"]]
            assert min(balances) >= 0
            self.totals[sum(balances)] += 1
            return
        payer, payee = luck.sample(ACCOUNTS, 2)
        amount = {":a": {"N": str(luck.randrange(1, 60))}}
        pay = on(
            payer, UpdateExpression="SET n = n - :a", ConditionExpression="n >= :a", ExpressionAttributeValues=amount
        )
        receive = on(payee, UpdateExpression="SET n = n + :a", ExpressionAttributeValues=amount)
        status, answer = await connection.call(
            "TransactWriteItems", {"TransactItems": [{"Update": pay}, {"Update": receive}]}
        )
        self.outcomes["done" if status == 200 else code_of(answer)] += 1


async def test_transfers_keep_the_sum_whenever_one_looks(tmp_path: Path) -> None:
    bank = BankClients()
    with bank_of(str(tmp_path / "store.db")) as path:
        await record_transfers(path, bank)
    assert set(bank.totals) == {OPENING_BALANCE * len(ACCOUNTS)}
    assert set(bank.outcomes) == {"done", "TransactionCanceledException"}
    print(f"\n{sum(bank.totals.values())} looks at all balances, {bank.outcomes}", end="")


@contextmanager
def bank_of(path: str) -> Iterator[str]:
    from bursar.dynamo import Engine

    engine = Engine.open(path)
    engine.execute("CreateTable", TABLE)
    for account in ACCOUNTS:
        engine.execute("PutItem", {"TableName": "items", "Item": _item(account, OPENING_BALANCE)})
    engine.close()
    yield path
    assert check_store(path) == []


async def record_transfers(path: str, bank: BankClients) -> None:
    """Record as :func:`record`, on an existing table."""
    for phase in range(2):
        with served(path, workers=WORKERS) as server:
            when = {CLIENTS * TURNS // 4: _killer(server), CLIENTS * TURNS // 2: server.kill} if phase == 0 else {}
            await run_clients(server, bank.turn, clients=CLIENTS, turns=TURNS, seed=phase, when=when)
