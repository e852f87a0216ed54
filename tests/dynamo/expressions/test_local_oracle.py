"""Compare random expressions on random items with Amazon's DynamoDB Local.

The tests run where `tools/install-oracles` has installed DynamoDB Local. ORACLE_EXAMPLES=5000 runs more examples than a
test run needs. ``QUIRKS`` lists the answers in which DynamoDB Local is known to differ from Amazon's service, with
reasons. Everything else must be equal, error texts included.
"""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_condition, parse_update
from bursar.dynamo.expressions.syntax_tree import Condition, PathAction
from bursar.dynamo.expressions.update import INVALID_PATH
from bursar.dynamo.expressions.update_actions import MISSING, WRONG_TYPE
from tests.support.dynamo.oracle_runs import oracle_settings, the_same_requests_whatever_else_is_loaded  # noqa: F401 - fixtures
from tests.support.dynamo.tree_strategies import conditions, new_values, paths, placeholders
from tests.support.dynamo.value_strategies import items, values

LIBRARY = Path(__file__).parents[3] / ".tools" / "oracles" / "dynamodb-local" / "lib"
EXAMPLES = 60
START_TRIES = 300
TRY_EVERY_S = 0.1

QUIRKS = (
    "HeapByteBuffer",  # shows a binary bound as a Java object
    "document paths overlap",  # names another path than the one that clashes, by the order of a hash table
    "document paths conflict",  # likewise
)
RUN_TIME = {MISSING, WRONG_TYPE, INVALID_PATH}
"""Errors of applying an update; of several, either may be reported."""

KEY = {"pk": {"S": "key"}}
NAMES = {"#n": "n", "#e": "é"}

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        not LIBRARY.is_dir() or shutil.which("java") is None,
        reason="DynamoDB Local is not installed: tools/install-oracles",
    ),
]


class Local:
    """A DynamoDB Local process and a connection to it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, "
            "SignedHeaders=host, Signature=0",
        }
        body = {name: value for name, value in request.items() if value is not None}
        self.connection.request("POST", "/", json.dumps({"TableName": "oracle", **body}), headers)
        answer: dict[str, Any] = json.loads(self.connection.getresponse().read())
        return answer

    @staticmethod
    def message(answer: dict[str, Any]) -> str | None:
        return answer.get("Message") or answer.get("message")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    java = ["java", "-Xmx256m", "-cp", f"{LIBRARY}/*", f"-Djava.library.path={LIBRARY}"]
    server = ["com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry"]
    with subprocess.Popen(
        [*java, *server, "-port", str(port)],
        cwd=tmp_path_factory.mktemp("local"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(port)
            dynamo = Local(port)
            dynamo(
                "CreateTable",
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
            yield dynamo
            dynamo.connection.close()
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(START_TRIES):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(TRY_EVERY_S)
    raise TimeoutError("DynamoDB Local did not start")


def placeholders_of(text: str, given_values: dict[str, Any]) -> dict[str, Any]:
    """Return the request's parameters for the placeholders in ``text``."""
    names = {name: NAMES[name] for name in re.findall(r"#\w+", text)}
    used = {name: given_values[name] for name in re.findall(r":\w+", text)}
    return {"ExpressionAttributeNames": names or None, "ExpressionAttributeValues": used or None}


def comparable(value: Any) -> Any:
    """Return ``value`` with its sets in one order."""
    if isinstance(value, list):
        return [comparable(element) for element in value]
    if isinstance(value, dict):
        return {
            name: sorted(content) if name in ("SS", "NS", "BS") and isinstance(content, list) else comparable(content)
            for name, content in value.items()
        }
    return value


def bound(parameters: dict[str, Any]) -> Binding:
    return Binding(parameters["ExpressionAttributeNames"], parameters["ExpressionAttributeValues"])


def our_condition(text: str, item: dict[str, Any], parameters: dict[str, Any]) -> bool | str:
    try:
        return parse_condition(text).bind(bound(parameters)).evaluate(item)
    except DynamoError as refusal:
        return refusal.message


def our_update(text: str, item: dict[str, Any], parameters: dict[str, Any]) -> Any:
    try:
        return comparable(parse_update(text).bind(bound(parameters)).apply(item)[0])
    except DynamoError as refusal:
        return refusal.message


given_values = st.fixed_dictionaries({":a": values, ":b": values, ":c1": values})
actions = st.lists(
    st.builds(lambda path, operand: PathAction("SET", path, operand), paths, new_values)
    | paths.map(lambda path: PathAction("REMOVE", path, None))
    | st.builds(PathAction, st.sampled_from(["ADD", "DELETE"]), paths, placeholders),
    min_size=1,
    max_size=3,
)
random_expressions = oracle_settings(EXAMPLES)


@random_expressions
@given(conditions, items, given_values)
def test_conditions_hold_there_as_here(
    local: Local, condition: Condition, item: dict[str, Any], given_values: dict[str, Any]
) -> None:
    item = {**item, **KEY}
    local("PutItem", Item=item)
    parameters = placeholders_of(str(condition), given_values)
    answer = local("PutItem", Item=item, ConditionExpression=str(condition), **parameters)
    theirs: bool | str = local.message(answer) or True
    assume(not any(quirk in str(theirs) for quirk in QUIRKS))
    if theirs == "The conditional request failed":
        theirs = False
    assert our_condition(str(condition), item, parameters) == theirs


@random_expressions
@given(actions, items, given_values)
def test_updates_give_there_what_they_give_here(
    local: Local, actions: list[PathAction], item: dict[str, Any], given_values: dict[str, Any]
) -> None:
    item = {**item, **KEY}
    local("PutItem", Item=item)
    sections = {action.section: [] for action in actions}  # type: dict[str, list[str]]
    for action in actions:
        sections[action.section].append(str(action))
    text = " ".join(f"{section} {', '.join(texts)}" for section, texts in sections.items())
    parameters = placeholders_of(text, given_values)
    answer = local("UpdateItem", Key=KEY, UpdateExpression=text, ReturnValues="ALL_NEW", **parameters)
    theirs = local.message(answer) or comparable(answer["Attributes"])
    assume(not any(quirk in str(theirs) for quirk in QUIRKS))
    ours = our_update(text, item, parameters)
    if isinstance(theirs, str) and theirs in RUN_TIME:
        assert ours in RUN_TIME
    else:
        assert ours == theirs
