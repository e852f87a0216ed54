"""How a record's fields become an item's attributes and back: one table for both ways, so that they cannot disagree.

A field that is None or False is an absent attribute.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final, NamedTuple

from bursar.dynamo.items.attribute_values import AttributeType
from bursar.dynamo.items.attribute_values import Item as Item

_NO_DEFAULT: Final = object()


class Codec(NamedTuple):
    """How a value is kept: the attribute's type, and what to make of a value on the way in and out (None: nothing)."""

    type: AttributeType
    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any] | None


class Layout:
    """One record's table of fields, made ready."""

    def __init__(
        self, record: type, table: Mapping[str, tuple[str, str]], codecs: Mapping[str, Codec], **defaults: Any
    ) -> None:
        """``table``: field → (attribute, name of its codec), in the order of the record's fields.

        ``defaults``: what an absent attribute means, for fields without a default of their own.
        """
        self._record = record
        self._factories = {f.name: f.default_factory for f in fields(record) if f.default_factory is not MISSING}
        own = {f.name: f.default for f in fields(record) if f.default is not MISSING}
        absent = {name: own.get(name, defaults.get(name, _NO_DEFAULT)) for name in table}
        rows = [(name, attribute, codecs[codec]) for name, (attribute, codec) in table.items()]
        self._encoders = {name: (attribute, codec.type, codec.encode) for name, attribute, codec in rows}
        self._decoders = [(name, attribute, codec.type, codec.decode, absent[name]) for name, attribute, codec in rows]

    def encoded(self, record: object) -> Item:
        item: Item = {}
        values = record.__dict__
        for name, (attribute, kind, encode) in self._encoders.items():
            value = values[name]
            if value is not None and value is not False:
                item[attribute] = {kind: value if encode is None else encode(value)}
        return item

    def write_differences(self, item: Item, old: object, new: object) -> None:
        """Makes ``item``, the encoded ``old``, the encoded ``new``; what is the same stays the very same."""
        before = old.__dict__
        for name, value in new.__dict__.items():
            if value is before[name] or name not in self._encoders:
                continue
            attribute, kind, encode = self._encoders[name]
            if value is None or value is False:
                item.pop(attribute, None)
                continue
            encoded = {kind: value if encode is None else encode(value)}
            if item.get(attribute) != encoded:
                item[attribute] = encoded

    def decoded(self, item: Item) -> dict[str, Any]:
        """Field name → value, of all fields in their order. ``TypeError`` when one is missing."""
        record: dict[str, Any] = {}
        for name, attribute, kind, decode, default in self._decoders:
            value = item.get(attribute)
            if value is not None:
                record[name] = value[kind] if decode is None else decode(value[kind])
            else:
                record[name] = default if default is not _NO_DEFAULT else self._absent(name)
        return record

    def _absent(self, name: str) -> Any:
        factory = self._factories.get(name)
        if factory is None:
            raise TypeError(f"an item of {self._record.__name__} is missing {name!r}")
        return factory()
