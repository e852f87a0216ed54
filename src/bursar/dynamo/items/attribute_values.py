"""Attribute values: their validation, canonical form, size as DynamoDB bills it, equality and order.

A value is the wire's own dictionary with one member, ``{"S": "text"}``, ``{"N": "1.5"}``, ``{"B": "base64"}``, …;
an item maps attribute names to values. A *normalised* value has passed DynamoDB's validation and holds canonical number
text, so code after ``normalise`` need not check it again.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import orjson

from bursar.dynamo.errors import INVALID_PARAMETER, DynamoError, InvalidValue, invalid, invalid_parameter, unreadable
from bursar.dynamo.items.numbers import canonical, number_size

AttributeType: TypeAlias = Literal["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"]
AttributeValue: TypeAlias = dict[AttributeType, Any]
"""One member: the type and the content.

It is not a TypedDict, because much code reads the content by a computed type. As a TypedDict, ``src`` would need a cast
in 38 places (mypy --strict), and several of them are on the path of every write.
"""
Item: TypeAlias = dict[str, AttributeValue]

ITEM_BYTES_MAX = 400 * 1024
NESTING_MAX = 31
"""Maps and lists around a scalar; with the scalar itself they are DynamoDB's 32 levels."""

NO_TYPE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
TWO_TYPES = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
EMPTY_NAME = "Empty attribute name"
TOO_LARGE = "Item size has exceeded the maximum allowed size"
TOO_LARGE_TO_UPDATE = "Item size to update has exceeded the maximum allowed size"


def normalise_item(item: Mapping[str, Any]) -> Item:
    """Return ``item`` validated and with canonical numbers.

    Values that needed no change are shared with the argument, not copied. Raises as :func:`normalise`.
    """
    if "" in item:
        raise invalid(EMPTY_NAME)
    return {name: normalise(value) for name, value in item.items()}


def normalise(value: Any, depth: int = 0) -> AttributeValue:
    """Return one attribute value validated, in canonical form; ``depth`` counts the maps and lists around it.

    Raises ValidationException and SerializationException with DynamoDB's texts.
    """
    if type(value) is not dict:
        raise _wrong_shape(value)
    if len(value) != 1:
        return _unusual(value, depth)
    ((kind, content),) = value.items()
    normaliser = _NORMALISERS.get(kind)
    if normaliser is None or content is None:
        raise invalid(NO_TYPE)
    kept = normaliser(content, depth)
    return value if kept is content else {kind: kept}


def check_nesting(value: AttributeValue) -> None:
    """Raise ValidationException when a value whose parts were valid is nested too deeply as a whole."""
    level = [value]
    for _ in range(NESTING_MAX + 1):
        level = [
            element for outer in level for element in (outer.get("L") or (outer["M"].values() if "M" in outer else ()))
        ]
        if not level:
            return
    raise invalid(TOO_DEEP)


def item_bytes(item: Item) -> bytes:
    """Return the item as DynamoDB JSON, as it is stored and copied into responses."""
    return orjson.dumps(item)


def item_size(item: Item) -> int:
    """Return the bytes of a normalised item by DynamoDB's rules.

    Source: Developer Guide, "DynamoDB item sizes and formats".
    """
    size = 0
    texts = list(item)
    for value in item.values():
        if "S" in value:
            texts.append(value["S"])
        else:
            size += value_size(value)
    return size + _text_size("".join(texts))


def attribute_size(name: str, value: AttributeValue) -> int:
    """Return the bytes of one attribute, its name included."""
    return len(name.encode()) + value_size(value)


def value_size(value: AttributeValue) -> int:
    """Return the bytes of a normalised value without its name."""
    ((kind, content),) = value.items()
    return _SIZES[kind](content)


def equal(left: AttributeValue, right: AttributeValue) -> bool:
    """Return whether DynamoDB holds two normalised values equal: same type, sets in any order, numbers by value."""
    if left == right:
        return True
    ((kind, mine),) = left.items()
    theirs = right.get(kind)
    if theirs is None or kind not in _EQUALS:
        return False
    return _EQUALS[kind](mine, theirs)


def compare(left: AttributeValue, right: AttributeValue) -> int | None:
    """Return -1, 0 or 1 for two S, two N or two B; None for other types and for mixed ones, which have no order."""
    ((kind, mine),) = left.items()
    theirs = right.get(kind)
    rank = ORDERS.get(kind)
    if theirs is None or rank is None:
        return None
    if mine == theirs:
        return 0
    return -1 if rank(mine) < rank(theirs) else 1


def utf8_rank(text: str) -> Any:
    """Return ``text``: Python orders strings by code points, which is the order of their UTF-8 bytes, DynamoDB's."""
    return text


ORDERS: dict[str, Callable[[str], Any]] = {"S": utf8_rank, "N": Decimal, "B": b64decode}
"""For each ordered type, the function whose result sorts as DynamoDB sorts the content."""


# --- validation, a table of one function per type ------------------------------------------------------------------


def _unusual(value: dict[str, Any], depth: int) -> AttributeValue:
    """Normalise a value without exactly one member: JSON nulls and unknown members are ignored."""
    known = {kind: content for kind, content in value.items() if content is not None and kind in _NORMALISERS}
    if not known:
        raise invalid(NO_TYPE)
    for kind, content in known.items():
        _NORMALISERS[kind](content, depth)
    if len(known) > 1:
        raise invalid(TWO_TYPES)
    return normalise(known, depth)


def _string(content: Any, _depth: int) -> str:
    if type(content) is not str:
        raise _not_text(content)
    if not content.isascii():
        _check_unicode(content)
    return content


def _check_unicode(text: str) -> None:
    """Raise SerializationException for a lone surrogate, which only a caller in this process can pass."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise unreadable("The string is not valid Unicode") from None


def _number(content: Any, _depth: int) -> str:
    if type(content) is not str:
        raise _not_text(content)
    return canonical(content)


def _binary(content: Any, _depth: int) -> str:
    if type(content) is not str:
        raise _not_text(content)
    check_base64(content)
    return content


def check_base64(text: str) -> None:
    """Raise SerializationException when ``text`` is not strict base64 with padding."""
    if len(text) % 4:
        raise unreadable(f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}")
    try:
        b64decode(text, validate=True)
    except ValueError:
        raise unreadable("Invalid Base64 character") from None


def _bool(content: Any, _depth: int) -> bool:
    if type(content) is not bool:
        raise unreadable("Unexpected token received from parser")
    return content


def _null(content: Any, depth: int) -> bool:
    if not _bool(content, depth):
        raise invalid_parameter("Null attribute value types must have the value of true")
    return True


def _list(content: Any, depth: int) -> list[AttributeValue]:
    if type(content) is not list:
        raise _not_list(content)
    if depth >= NESTING_MAX:
        raise invalid(TOO_DEEP)
    kept: list[AttributeValue] | None = None
    for at, element in enumerate(content):
        normal = normalise(element, depth + 1)
        if normal is not element:
            kept = content.copy() if kept is None else kept
            kept[at] = normal
    return content if kept is None else kept


def _map(content: Any, depth: int) -> Item:
    if type(content) is not dict:
        raise _wrong_shape(content)
    if depth >= NESTING_MAX:
        raise invalid(TOO_DEEP)
    if "" in content:
        raise invalid(EMPTY_NAME)
    kept: Item | None = None
    for name, element in content.items():
        normal = normalise(element, depth + 1)
        if normal is not element:
            kept = content.copy() if kept is None else kept
            kept[name] = normal
    return content if kept is None else kept


def _string_set(content: Any, depth: int) -> list[str]:
    given: list[str] = content
    _set_members(given, depth, _string)
    if not content:
        raise invalid_parameter("An string set  may not be empty")
    if len(set(content)) != len(content):
        quoted = ", ".join(f'"{member}"' for member in _as_met(content, str.encode))
        raise _duplicates(f"[{', '.join(content)}] ", f"[{quoted}] ")
    return in_set_order("SS", given)


def _number_set(content: Any, depth: int) -> list[str]:
    kept = _set_members(content, depth, _number)
    if not content:
        raise invalid_parameter("An number set  may not be empty")
    if len(set(kept)) != len(kept):
        raise InvalidValue(
            "Input collection contains duplicates", f"{INVALID_PARAMETER}Input collection contains duplicates."
        )
    ordered = in_set_order("NS", kept)
    return content if ordered == content else ordered


def _binary_set(content: Any, depth: int) -> list[str]:
    given: list[str] = content
    _set_members(given, depth, _binary)
    if not content:
        raise invalid_parameter("Binary sets should not be empty")
    if len(set(content)) != len(content):
        quoted = ",".join(f'"{member}"' for member in _as_met(content, b64decode))
        raise _duplicates(f"[{', '.join(content)}]of type BS ", f"[{quoted}]of type BS ")
    return in_set_order("BS", given)


def in_set_order(kind: str, members: list[str]) -> list[str]:
    """Return the members of a set as Amazon orders them: strings and binaries by their bytes, numbers by value."""
    ordered = sorted(members, key=ORDERS[kind[0]])
    return members if ordered == members else ordered


def _duplicates(older: str, current: str) -> DynamoError:
    text = INVALID_PARAMETER + "Input collection {}contains duplicates."
    return InvalidValue(text.format(older), text.format(current))


def _as_met(members: list[str], rank: Callable[[str], bytes]) -> list[str]:
    """Return the members in the order of Amazon's message: those before the first repetition sorted, then the rest."""
    seen: set[str] = set()
    for at, member in enumerate(members):
        if member in seen:
            return [*sorted(members[:at], key=rank), *members[at:]]
        seen.add(member)
    return members


def _set_members(content: Any, depth: int, member: Callable[[Any, int], str]) -> list[str]:
    if type(content) is not list:
        raise _not_list(content)
    return [member(element, depth) for element in content]


_NORMALISERS: dict[str, Callable[[Any, int], Any]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _bool,
    "NULL": _null,
    "M": _map,
    "L": _list,
    "SS": _string_set,
    "NS": _number_set,
    "BS": _binary_set,
}

TYPES = tuple(_NORMALISERS)
"""The ten types of DynamoDB."""


# --- wrong JSON types ----------------------------------------------------------------------------------------------


def _not_text(content: object) -> DynamoError:
    if isinstance(content, bool):
        return unreadable(f"{str(content).upper()}_VALUE cannot be converted to String")
    if isinstance(content, int | float):
        name = "NUMBER_VALUE" if isinstance(content, int) else "DECIMAL_VALUE"
        return unreadable(f"{name} cannot be converted to String")
    if isinstance(content, dict):
        return unreadable("Start of structure or map found where not expected.")
    return unreadable("Unexpected value type in payload")


def _not_list(content: object) -> DynamoError:
    if isinstance(content, dict):
        return unreadable("Start of structure or map found where not expected.")
    return unreadable("Unexpected field type")


def _wrong_shape(content: object) -> DynamoError:
    if isinstance(content, list):
        return unreadable("Start of list found where not expected")
    if content is None:
        return invalid(NO_TYPE)
    return unreadable("Unexpected value type in payload")


# --- sizes and equality, tables of one function per type -----------------------------------------------------------

CONTAINER_BYTES = 3
ELEMENT_BYTES = 1
BOOLEAN_BYTES = 1


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _binary_size(text: str) -> int:
    return len(text) * 3 // 4 - text.count("=", -2)


def _boolean_size(_content: object) -> int:
    return BOOLEAN_BYTES


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": _text_size,
    "N": number_size,
    "B": _binary_size,
    "BOOL": _boolean_size,
    "NULL": _boolean_size,
    "L": lambda elements: CONTAINER_BYTES + sum(value_size(element) + ELEMENT_BYTES for element in elements),
    "M": lambda elements: (
        CONTAINER_BYTES + sum(attribute_size(name, element) + ELEMENT_BYTES for name, element in elements.items())
    ),
    "SS": lambda members: sum(map(_text_size, members)),
    "NS": lambda members: sum(map(number_size, members)),
    "BS": lambda members: sum(map(_binary_size, members)),
}


def _same_members(left: list[str], right: list[str]) -> bool:
    return len(left) == len(right) and set(left) == set(right)


def _same_list(left: list[AttributeValue], right: list[AttributeValue]) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def _same_map(left: Item, right: Item) -> bool:
    return left.keys() == right.keys() and all(equal(value, right[name]) for name, value in left.items())


_EQUALS: dict[str, Callable[[Any, Any], bool]] = {
    "SS": _same_members,
    "NS": _same_members,
    "BS": _same_members,
    "L": _same_list,
    "M": _same_map,
}
