"""How a record's fields become an item's attributes and back: one table for both directions.

A field that is None or False is an absent attribute.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from bursar.clock import from_iso_ms, iso_ms
from bursar.dynamo.items.attribute_values import AttributeType, Item

RecordT = TypeVar("RecordT")


class Codec(NamedTuple):
    """How a value is stored: the type of its attribute, and the conversions to and from the attribute's value.

    Without conversions the attribute has the value itself.
    """

    type: AttributeType
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None


TEXT: Final = Codec("S")
TIME: Final = Codec("S", iso_ms, from_iso_ms)
WHOLE_NUMBER: Final = Codec("N", str, int)
FLAG: Final = Codec("BOOL")


class Layout(Generic[RecordT]):
    """The attributes of one kind of record."""

    def __init__(
        self, record: type[RecordT], fields: Mapping[str, tuple[str, Codec]], *, nullable: Collection[str] = ()
    ) -> None:
        """Lay out ``fields``: name → (attribute, codec), in the order of the item's attributes.

        A field of ``nullable`` whose attribute is absent is None. Any other has its default, if it has one.
        """
        self._record = record
        self._rows = [(name, attribute, *codec) for name, (attribute, codec) in fields.items()]
        self._nullable = tuple(nullable)

    @property
    def attributes(self) -> frozenset[str]:
        """The names of all attributes."""
        return frozenset(attribute for _, attribute, *_ in self._rows)

    @property
    def attribute_of(self) -> dict[str, str]:
        """Field → the attribute that holds it."""
        return {name: attribute for name, attribute, *_ in self._rows}

    def encode(self, record: RecordT) -> Item:
        """Return the attributes of ``record``."""
        item: Item = {}
        for name, attribute, kind, encode, _ in self._rows:
            value = getattr(record, name)
            if value is not None and value is not False:
                item[attribute] = {kind: encode(value) if encode else value}
        return item

    def decode(self, item: Item, **more: Any) -> RecordT:
        """Return the record whose attributes ``item`` has; ``more`` are fields that are not in the layout.

        Raises ``TypeError`` for an item without the attribute of a field that has no default.
        """
        values: dict[str, Any] = dict.fromkeys(self._nullable)
        for name, attribute, kind, _, decode in self._rows:
            if attribute in item:
                value = item[attribute][kind]
                values[name] = decode(value) if decode else value
        values.update(more)
        return self._record(**values)
