"""Items as lines of Amazon Ion's text form, as exports write them and imports read them.

    $ion_1_0 {Item:{ISBN:"333-3333333333",Id:103d0,Authors:$dynamodb_SS::["Author1","Author2"]}}

    S string · N decimal · B blob · BOOL bool · NULL null · L list · M struct · SS, NS, BS list with an annotation

It needs the package ``amazon.ion``, the extra ``ion`` of Bursar. Source: Developer Guide, "DynamoDB table export output
format" and "Amazon S3 import formats for DynamoDB".
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from amazon.ion import simpleion
from amazon.ion.core import IonType
from amazon.ion.exceptions import IonException
from amazon.ion.simple_types import IonPyBool, IonPyList, IonPyNull

from bursar.dynamo.buckets.import_files import Attributes, BadLine, numbered_lines

SETS = {"SS": "$dynamodb_SS", "NS": "$dynamodb_NS", "BS": "$dynamodb_BS"}
_SET_TYPES = {annotation: kind for kind, annotation in SETS.items()}


def ion_line(line: bytes) -> bytes:
    """Return a line of a full export in DynamoDB JSON, ``{"Item": {…}}``, as a line of Ion."""
    item: Mapping[str, Any] = orjson.loads(line)["Item"]
    document = {"Item": {name: _ion(value) for name, value in item.items()}}
    text: str = simpleion.dumps(document, binary=False)
    return text.encode() + b"\n"


def ion_items(content: IO[bytes]) -> Iterator[tuple[int, Attributes]]:
    """Yield (size of the line in bytes, item) of Ion lines. Raises :class:`BadLine`."""
    for number, line in numbered_lines(content):
        try:
            document = simpleion.loads(line.decode())
        except (IonException, UnicodeDecodeError, ValueError) as error:
            raise BadLine(f"line {number}: must be Ion: {error}") from None
        item = document.get("Item") if isinstance(document, Mapping) else None
        if not isinstance(item, Mapping):
            raise BadLine(f"line {number}: must be {{Item:{{…}}}}")
        try:
            yield len(line), {name: _attribute_value(value) for name, value in item.items()}
        except _NotAnAttribute as error:
            raise BadLine(f"line {number}: {error}") from None


class _NotAnAttribute(Exception):
    """An Ion value that is no attribute value."""


def _ion(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return Decimal(content)
        case "B":
            return b64decode(content)
        case "NULL":
            return None
        case "L":
            return [_ion(one) for one in content]
        case "M":
            return {name: _ion(one) for name, one in content.items()}
    members = [_ion({kind[0]: one}) for one in content]
    return IonPyList.from_value(IonType.LIST, members, (SETS[kind],))


def _attribute_value(value: Any) -> dict[str, Any]:
    kind = getattr(value, "ion_type", None)
    match value:
        case None | IonPyNull():
            return {"NULL": True}
        case bool() | IonPyBool():
            return {"BOOL": bool(value)}
        case str():
            return {"S": str(value)}
        case int() | Decimal():
            return {"N": str(value)}
        case bytes() if kind is not IonType.CLOB:
            return {"B": b64encode(value).decode()}
        case list() if kind is not IonType.SEXP:
            return _of_list(value)
        case Mapping():
            return {"M": {name: _attribute_value(one) for name, one in value.items()}}
    raise _NotAnAttribute(
        "must have strings, bools, decimals, blobs, nulls, lists and structs; "
        f"got {type(value).__name__ if kind is None else IonType(kind).name}"
    )


def _of_list(values: list[Any]) -> dict[str, Any]:
    members = [_attribute_value(one) for one in values]
    annotations = [one.text for one in getattr(values, "ion_annotations", ())]
    kind = _SET_TYPES.get(annotations[0]) if annotations else None
    if kind is None:
        return {"L": members}
    if any(kind[0] not in one for one in members):
        raise _NotAnAttribute(f"must have members of one type after {SETS[kind]}")
    return {kind: [one[kind[0]] for one in members]}
