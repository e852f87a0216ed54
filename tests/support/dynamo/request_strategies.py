"""Random requests on three small tables: most are valid, some are spoilt. Keys are few, so that requests meet."""

import copy
import re
from typing import Any

from hypothesis import strategies as st

from bursar.dynamo.expressions.parsing.syntax_tree import PathAction
from tests.support.dynamo.tables import table
from tests.support.dynamo.tree_strategies import conditions, new_values, paths, placeholders
from tests.support.dynamo.value_strategies import values

TABLES: dict[str, dict[str, Any]] = {
    "plain": table("plain", ("pk:S",)),
    "sorted": table(
        "sorted",
        ("pk:S", "sk:N"),
        global_indexes={"by-g": ("g:S", "h:N")},
        local_indexes={"by-l": ("pk:S", "l:S")},
    ),
    "binary": table("binary", ("pk:B", "sk:S")),
}
for _index, _projection in (
    ("GlobalSecondaryIndexes", {"ProjectionType": "KEYS_ONLY"}),
    ("LocalSecondaryIndexes", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]}),
):
    TABLES["sorted"][_index][0]["Projection"] = _projection

KEYS: dict[str, dict[str, str]] = {
    "plain": {"pk": "S"},
    "sorted": {"pk": "S", "sk": "N"},
    "binary": {"pk": "B", "sk": "S"},
}
OF_TYPE = {"S": ["a", "ab", "é"], "N": ["1", "2", "10", "-3"], "B": ["AA==", "AP8=", "gA=="]}
NAMES = {"#n": "n", "#e": "é", "#p": "pk", "#s": "sk"}
ODD_NUMBERS = [
    "1E2",
    "1.50",
    "-0",
    "0.0",
    "007",
    "1e125",
    "1E126",
    "1E-130",
    "1E-131",
    "9" * 38,
    "9" * 39,
    "abc",
    "",
    " 1",
    "+5",
    "NaN",
]
ODD_VALUES: list[Any] = [
    {},
    {"S": 1},
    {"N": 1},
    {"S": "a", "N": "1"},
    {"SS": []},
    {"SS": ["a", "a"]},
    {"NS": ["1", "1.0"]},
    {"NULL": False},
    {"BOOL": "yes"},
    {"B": "not base64"},
    {"X": "a"},
    {"L": {}},
    {"M": []},
    {"S": ""},
    {"S": None},
    None,
    [],
    "a",
    *({"N": number} for number in ODD_NUMBERS),
]
RETURN_VALUES = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW", "SOME"]

Request = tuple[str, dict[str, Any]]
tables = st.sampled_from(["plain", "sorted", "sorted", "binary"])


def typed(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return values of one key type."""
    return st.sampled_from(OF_TYPE[kind]).map(lambda content: {kind: content})


def keys(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return the keys of a table."""
    return st.fixed_dictionaries({attribute: typed(kind) for attribute, kind in KEYS[name].items()})


def items(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return items of a table, some of them in its indexes."""
    indexed = {"g": typed("S"), "h": typed("N"), "l": typed("S")} if name == "sorted" else {}
    others = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "n", "é"]), values, max_size=4)
    return st.builds(
        lambda key, index, rest: {**rest, **index, **key},
        keys(name),
        st.fixed_dictionaries({}, optional=indexed),
        others,
    )


def update_expressions() -> st.SearchStrategy[str]:
    """Return update expressions: the sections in any order, each once."""
    actions = st.lists(
        st.builds(lambda path, operand: PathAction("SET", path, operand), paths, new_values)
        | paths.map(lambda path: PathAction("REMOVE", path, None))
        | st.builds(PathAction, st.sampled_from(["ADD", "DELETE"]), paths, placeholders),
        min_size=1,
        max_size=3,
    )

    def written(chosen: list[PathAction]) -> str:
        sections: dict[str, list[str]] = {}
        for action in chosen:
            sections.setdefault(action.section, []).append(str(action))
        return " ".join(f"{section} {', '.join(texts)}" for section, texts in sections.items())

    return actions.map(written)


condition_texts = conditions.map(str)
projections = st.lists(paths.map(str), min_size=1, max_size=3).map(", ".join)
operand_values = st.fixed_dictionaries({":a": values, ":b": values, ":c1": values})


def bound(request: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the request with the names and values that its expressions mention."""
    text = " ".join(str(content) for name, content in request.items() if name.endswith("Expression"))
    found_names = {name: NAMES.get(name, "x") for name in re.findall(r"#\w+", text)}
    found_values = {name: given.get(name, {"S": "?"}) for name in re.findall(r":\w+", text)}
    if found_names:
        request["ExpressionAttributeNames"] = found_names
    if found_values:
        request["ExpressionAttributeValues"] = found_values
    return request


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a part of the members."""
    return st.fixed_dictionaries({}, optional=members)


flags = st.booleans()
write_options = some(
    ConditionExpression=condition_texts,
    ReturnValues=st.sampled_from(RETURN_VALUES),
    ReturnValuesOnConditionCheckFailure=st.sampled_from(["NONE", "ALL_OLD"]),
    ReturnItemCollectionMetrics=st.sampled_from(["NONE", "SIZE"]),
)


@st.composite
def puts(draw: st.DrawFn) -> Request:
    name = draw(tables)
    request = {"TableName": name, "Item": draw(items(name)), **draw(write_options)}
    return "PutItem", bound(request, draw(operand_values))


@st.composite
def updates(draw: st.DrawFn) -> Request:
    name = draw(tables)
    request = {
        "TableName": name,
        "Key": draw(keys(name)),
        **draw(some(UpdateExpression=update_expressions())),
        **draw(write_options),
    }
    return "UpdateItem", bound(request, draw(operand_values))


@st.composite
def deletes(draw: st.DrawFn) -> Request:
    name = draw(tables)
    return "DeleteItem", bound(
        {"TableName": name, "Key": draw(keys(name)), **draw(write_options)}, draw(operand_values)
    )


@st.composite
def gets(draw: st.DrawFn) -> Request:
    name = draw(tables)
    options = draw(some(ProjectionExpression=projections, ConsistentRead=flags))
    return "GetItem", bound({"TableName": name, "Key": draw(keys(name)), **options}, draw(operand_values))


SORT_CONDITIONS = ["{s} = :s", "{s} < :s", "{s} >= :s", "{s} BETWEEN :s AND :t", "begins_with({s}, :s)", "{s} <> :s"]
SEARCHED: dict[str, list[tuple[str | None, tuple[str, ...]]]] = {
    "plain": [(None, ("pk:S",))],
    "sorted": [(None, ("pk:S", "sk:N")), ("by-g", ("g:S", "h:N")), ("by-l", ("pk:S", "l:S"))],
    "binary": [(None, ("pk:B", "sk:S"))],
}
page_options = some(
    FilterExpression=condition_texts,
    ProjectionExpression=projections,
    Limit=st.integers(0, 3),
    Select=st.sampled_from(["ALL_ATTRIBUTES", "COUNT", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES"]),
    ConsistentRead=flags,
)


@st.composite
def queries(draw: st.DrawFn) -> Request:
    name = draw(tables)
    index, parts = draw(st.sampled_from(SEARCHED[name]))
    partition, *sort = [part.split(":") for part in parts]
    text, given = f"{partition[0]} = :p", {**draw(operand_values), ":p": draw(typed(partition[1]))}
    if len(sort) > 0 and draw(flags):
        text += " AND " + draw(st.sampled_from(SORT_CONDITIONS)).format(s=sort[0][0])
        given |= {":s": draw(typed(sort[0][1])), ":t": draw(typed(sort[0][1]))}
    request = {
        "TableName": name,
        "KeyConditionExpression": text,
        **draw(page_options),
        **draw(some(ScanIndexForward=flags)),
    }
    if index:
        request["IndexName"] = index
    if draw(st.integers(0, 4)) == 0:
        request["ExclusiveStartKey"] = {
            **draw(keys(name)),
            **{part[0]: draw(typed(part[1])) for part in (partition, *sort)},
        }
    return "Query", bound(request, given)


@st.composite
def scans(draw: st.DrawFn) -> Request:
    name = draw(tables)
    index, _ = draw(st.sampled_from(SEARCHED[name]))
    request = {
        "TableName": name,
        **draw(page_options),
        **draw(some(TotalSegments=st.integers(0, 3), Segment=st.integers(0, 3))),
    }
    if index:
        request["IndexName"] = index
    return "Scan", bound(request, draw(operand_values))


@st.composite
def batch_writes(draw: st.DrawFn) -> Request:
    chosen = draw(st.lists(tables, min_size=1, max_size=2, unique=True))
    return "BatchWriteItem", {
        "RequestItems": {
            name: draw(
                st.lists(
                    items(name).map(lambda item: {"PutRequest": {"Item": item}})
                    | keys(name).map(lambda key: {"DeleteRequest": {"Key": key}}),
                    min_size=1,
                    max_size=4,
                )
            )
            for name in chosen
        }
    }


@st.composite
def batch_gets(draw: st.DrawFn) -> Request:
    chosen = draw(st.lists(tables, min_size=1, max_size=2, unique=True))
    return "BatchGetItem", {
        "RequestItems": {
            name: bound(
                {
                    "Keys": draw(st.lists(keys(name), min_size=1, max_size=4)),
                    **draw(some(ProjectionExpression=projections, ConsistentRead=flags)),
                },
                {},
            )
            for name in chosen
        }
    }


@st.composite
def transactions(draw: st.DrawFn) -> Request:
    def action() -> dict[str, Any]:
        name = draw(tables)
        kind = draw(st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"]))
        members: dict[str, Any] = {"Item": draw(items(name))} if kind == "Put" else {"Key": draw(keys(name))}
        if kind == "Update":
            members["UpdateExpression"] = draw(update_expressions())
        if kind == "ConditionCheck" or draw(flags):
            members["ConditionExpression"] = draw(condition_texts)
        members |= draw(some(ReturnValuesOnConditionCheckFailure=st.sampled_from(["NONE", "ALL_OLD"])))
        return {kind: bound({"TableName": name, **members}, draw(operand_values))}

    return "TransactWriteItems", {"TransactItems": [action() for _ in range(draw(st.integers(1, 3)))]}


@st.composite
def transaction_reads(draw: st.DrawFn) -> Request:
    def action() -> dict[str, Any]:
        name = draw(tables)
        return {
            "Get": bound(
                {"TableName": name, "Key": draw(keys(name)), **draw(some(ProjectionExpression=projections))}, {}
            )
        }

    return "TransactGetItems", {"TransactItems": [action() for _ in range(draw(st.integers(1, 3)))]}


# Legacy parameters ----------------------------------------------------------------------------------------------

COMPARISONS = [
    "EQ",
    "NE",
    "LE",
    "LT",
    "GE",
    "GT",
    "NOT_NULL",
    "NULL",
    "CONTAINS",
    "NOT_CONTAINS",
    "BEGINS_WITH",
    "IN",
    "BETWEEN",
]
attribute_names = st.sampled_from(["a", "b", "c", "n"])


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    """Return comparisons, most of them with the right number of arguments."""
    operator = draw(st.sampled_from(COMPARISONS))
    count = {"NOT_NULL": 0, "NULL": 0, "BETWEEN": 2, "IN": draw(st.integers(1, 3))}.get(operator, 1)
    if draw(st.integers(0, 9)) == 0:
        count = draw(st.integers(0, 3))
    found: dict[str, Any] = {"ComparisonOperator": operator}
    if count:
        found["AttributeValueList"] = [draw(values) for _ in range(count)]
    return found


filters = st.dictionaries(attribute_names, comparisons(), min_size=1, max_size=2)
expectations = st.dictionaries(
    attribute_names,
    comparisons() | some(Value=values, Exists=flags),
    min_size=1,
    max_size=2,
)
operators = some(ConditionalOperator=st.sampled_from(["AND", "OR"]))


@st.composite
def legacy(draw: st.DrawFn) -> Request:
    name = draw(tables)
    kind = draw(st.sampled_from(["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan"]))
    request: dict[str, Any] = {"TableName": name}
    if kind == "PutItem":
        request["Item"] = draw(items(name))
    elif kind in ("UpdateItem", "DeleteItem", "GetItem"):
        request["Key"] = draw(keys(name))
    if kind in ("PutItem", "UpdateItem", "DeleteItem"):
        request |= draw(some(Expected=expectations, ReturnValues=st.sampled_from(RETURN_VALUES))) | draw(operators)
    else:
        request |= draw(some(AttributesToGet=st.lists(attribute_names, min_size=1, max_size=3)))
    if kind == "UpdateItem":
        change = st.fixed_dictionaries(
            {}, optional={"Value": values, "Action": st.sampled_from(["PUT", "ADD", "DELETE"])}
        )
        request["AttributeUpdates"] = draw(st.dictionaries(attribute_names, change, max_size=3))
    if kind == "Query":
        request["KeyConditions"] = {
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [draw(typed(KEYS[name]["pk"]))]}
        }
        if "sk" in KEYS[name] and draw(flags):
            value = [draw(typed(KEYS[name]["sk"]))]
            operator = draw(st.sampled_from(["EQ", "LT", "GE", "BEGINS_WITH", "NE"]))
            request["KeyConditions"]["sk"] = {"ComparisonOperator": operator, "AttributeValueList": value}
        request |= draw(some(QueryFilter=filters)) | draw(operators)
    if kind == "Scan":
        request |= draw(some(ScanFilter=filters)) | draw(operators)
    return kind, request


# Simple requests ------------------------------------------------------------------------------------------------


def simple(request: Request) -> Request:
    """Return the request without its expressions, except key conditions, and without their parameters."""
    operation, body = request
    kept = {name: content for name, content in body.items() if name not in EXPRESSIONS and name != "Select"}
    values_used = re.findall(r":\w+", kept.get("KeyConditionExpression", ""))
    if values_used:
        kept["ExpressionAttributeValues"] = {name: body["ExpressionAttributeValues"][name] for name in values_used}
    if kept.get("ReturnValues") not in (None, "NONE", "ALL_OLD"):
        del kept["ReturnValues"]
    return operation, kept


EXPRESSIONS = frozenset(f"{name}Expression" for name in ("Condition", "Filter", "Projection", "Update")) | {
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
}


@st.composite
def simple_updates(draw: st.DrawFn) -> Request:
    """Return updates that set one attribute or add to another."""
    name = draw(tables)
    text, given = draw(
        st.sampled_from([("SET a = :v", {":v": draw(values)}), ("ADD counter :n", {":n": draw(typed("N"))})])
    )
    request = {"TableName": name, "Key": draw(keys(name)), "UpdateExpression": text, "ExpressionAttributeValues": given}
    return "UpdateItem", {**request, "ReturnValues": draw(st.sampled_from(["ALL_NEW", "ALL_OLD", "NONE"]))}


simple_requests = st.one_of(*(of().map(simple) for of in (puts, puts, deletes, gets, queries, scans)), simple_updates())
simple_sequences = st.lists(simple_requests, min_size=1, max_size=8)


# Spoilt requests ------------------------------------------------------------------------------------------------


def places(of: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything that can be changed, from the root down."""
    found = [path] if path else []
    if isinstance(of, dict):
        for name, content in of.items():
            found += places(content, (*path, name))
    elif isinstance(of, list):
        for number, content in enumerate(of):
            found += places(content, (*path, number))
    return found


@st.composite
def spoilt(draw: st.DrawFn, sound: st.SearchStrategy[Request]) -> Request:
    """Return a request with one part removed, replaced, or misspelt."""
    operation, request = draw(sound)
    request = copy.deepcopy(request)
    path = draw(st.sampled_from(places(request)))
    parent: Any = request
    for step in path[:-1]:
        parent = parent[step]
    way = draw(st.sampled_from(["remove", "replace", "text", "add"]))
    if way == "remove":
        del parent[path[-1]]
    elif way == "add" and isinstance(parent, dict):
        parent[draw(st.sampled_from(["x", ":z", "#z", "pk", "sk", "g", "h", "l", "Limit"]))] = draw(
            st.sampled_from(ODD_VALUES)
        )
    elif way == "text" and isinstance(parent[path[-1]], str):
        text = parent[path[-1]]
        cut = draw(st.integers(0, len(text)))
        parent[path[-1]] = (
            text[:cut]
            + draw(st.sampled_from(["", " ", "(", ")", ",", "#", ":", "a", "1", ".", "[", "AND", "é"]))
            + text[cut + draw(st.integers(0, 2)) :]
        )
    else:
        parent[path[-1]] = draw(st.sampled_from(ODD_VALUES))
    return operation, request


sound_requests = st.one_of(
    puts(),
    puts(),
    updates(),
    updates(),
    deletes(),
    gets(),
    queries(),
    queries(),
    scans(),
    batch_writes(),
    batch_gets(),
    transactions(),
    transaction_reads(),
    legacy(),
)
requests = st.one_of(sound_requests, sound_requests, spoilt(sound_requests))
sequences = st.lists(requests, min_size=1, max_size=8)
