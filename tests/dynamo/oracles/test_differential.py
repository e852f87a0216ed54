"""Compare random requests with DynamoDB Local and dynoxide: equal answers, or a difference with a reason.

The engine's answer must be the answer of one of them; the message counts where the two agree. ORACLE_EXAMPLES=2000 runs
more examples than a test run needs (an example is up to eight requests). ``pytest -s`` prints what was compared. moto
has few of Amazon's texts and breaks on many expressions: it judges simple requests, by status, code and the items that
are read.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import event, given

from bursar.dynamo import DynamoError, Engine
from tests.support.dynamo.oracle_runs import oracle_settings, same_requests_in_each_run  # noqa: F401 - fixtures
from tests.support.dynamo.peers import Answer, Peer, missing, running
from tests.support.dynamo.request_strategies import KEYS, TABLES, Request, sequences, simple_sequences
from tests.support.dynamo.verdicts import DIFFERENT, comparable, moto_verdict, verdict

EXAMPLES = 40
pytestmark = pytest.mark.oracle


class Contest:
    """The engine and the oracles, all with the same tables."""

    def __init__(self, peers: list[Peer]) -> None:
        self.engine = Engine.open(":memory:")
        self.peers = peers
        self.verdicts: Counter[str] = Counter()
        for request in TABLES.values():
            assert {status for status, _ in self._all("CreateTable", request)} == {200}

    def ours(self, operation: str, request: Any) -> Answer:
        try:
            return 200, self.engine.execute(operation, request)
        except DynamoError as error:
            return error.http_status, error.body()

    def empty(self) -> None:
        """Delete every item from every store."""
        for name, key in KEYS.items():
            for call in (self.ours, *(peer.call for peer in self.peers)):
                for item in call("Scan", {"TableName": name})[1]["Items"]:
                    call("DeleteItem", {"TableName": name, "Key": {attribute: item[attribute] for attribute in key}})

    def compare(self, request: Request) -> tuple[str, dict[str, str]]:
        """Return the engine's line, and each oracle's."""
        operation, body = request
        ours = comparable(operation, body, self.ours(operation, body))
        return ours, {peer.name: comparable(operation, body, peer.call(operation, body)) for peer in self.peers}

    def delete_bare_items(self, request: Request) -> None:
        """Delete from each oracle the item that a removal alone made there and not here (see ``verdicts.KNOWN``)."""
        for body in removals(*request):
            key = {"TableName": body["TableName"], "Key": body["Key"]}
            for peer in self.peers if "Item" not in self.ours("GetItem", key)[1] else ():
                if peer.call("GetItem", key)[1].get("Item") == body["Key"]:
                    peer.call("DeleteItem", key)

    def _all(self, operation: str, request: Any) -> list[Answer]:
        return [self.ours(operation, request), *(peer.call(operation, request) for peer in self.peers)]

    def close(self) -> None:
        print(f"\n{sum(self.verdicts.values()):,} requests: {dict(self.verdicts.most_common())}", end="")
        self.engine.close()


def contest_with(names: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    reasons = [reason for name in names if (reason := missing(name))]
    if reasons:
        pytest.skip("; ".join(reasons))
    with ExitStack() as stack:
        peers = [stack.enter_context(running(name, tmp_path_factory.mktemp(name))) for name in names]
        contest = Contest(peers)
        yield contest
        contest.close()


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    yield from contest_with(("local", "dynoxide"), tmp_path_factory)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    yield from contest_with(("moto",), tmp_path_factory)


random_requests = oracle_settings(EXAMPLES)


def stores_may_differ(ours: str, theirs: dict[str, str]) -> bool:
    """Return whether the stores may contain different items from here on."""
    return any(line != ours and "200" in (line[:3], ours[:3]) for line in theirs.values())


def removals(operation: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the updates of a request that only remove."""
    actions = body["TransactItems"] if operation == "TransactWriteItems" else [{"Update": body}]
    updates = [action["Update"] for action in actions if isinstance(action, dict) and action.get("Update")]
    return [update for update in updates if only_removes(update)]


def only_removes(update: dict[str, Any]) -> bool:
    text, legacy = update.get("UpdateExpression"), update.get("AttributeUpdates")
    if isinstance(text, str):
        return re.search(r"\b(SET|ADD)\b", text) is None
    return legacy is not None and legacy != {} and all(one.get("Action") == "DELETE" for one in legacy.values())


@random_requests
@given(sequences)
def test_every_answer_is_an_oracles(judges: Contest, sequence: list[Request]) -> None:
    judges.empty()
    for request in sequence:
        ours, theirs = judges.compare(request)
        found = verdict(request[0], ours, theirs)
        event(found)
        judges.verdicts[found] += 1
        assert found != DIFFERENT, f"\n{request}\nours: {ours}\n" + "\n".join(
            f"{n}: {line}" for n, line in theirs.items()
        )
        if stores_may_differ(ours, theirs):
            break
        if ours.startswith("200") and request[0] in ("UpdateItem", "TransactWriteItems"):
            judges.delete_bare_items(request)


@random_requests
@given(simple_sequences)
def test_moto_reads_the_same_items(moto: Contest, sequence: list[Request]) -> None:
    moto.empty()
    for request in sequence:
        ours, theirs = moto.compare(request)
        found = moto_verdict(request[0], ours, theirs["moto"])
        event(found)
        moto.verdicts[found] += 1
        assert found != DIFFERENT, f"\n{request}\nours: {ours}\nmoto: {theirs['moto']}"
        if stores_may_differ(ours, theirs):
            break


LINES = {
    "as one of them": ("400 A: x", {"local": "400 A: x", "dynoxide": "400 B: y"}, "same"),
    "one broke": ("400 A: x", {"local": "500 E: z", "dynoxide": "400 A: y"}, "disputed"),
    "they disagree on the message": ("400 A: x", {"local": "400 A: y", "dynoxide": "400 A: z"}, "disputed"),
    "they agree on the message": ("400 A: x", {"local": "400 A: y", "dynoxide": "400 A: y"}, "different"),
    "another code": ("400 A: x", {"local": "400 B: y", "dynoxide": "400 C: y"}, "different"),
    "refused alone": ("400 A: x", {"local": "200 {}", "dynoxide": "200 {}"}, "different"),
    "other items": ('200 {"a": 1}', {"local": '200 {"a": 2}', "dynoxide": '200 {"a": 3}'}, "different"),
}


@pytest.mark.parametrize(("ours", "theirs", "found"), LINES.values(), ids=LINES)
def test_the_judge_can_find_a_difference(ours: str, theirs: dict[str, str], found: str) -> None:
    assert verdict("PutItem", ours, theirs) == found
