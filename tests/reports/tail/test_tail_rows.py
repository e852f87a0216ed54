"""Rows of the tail: nothing of them is kept once they have left."""

import weakref

from bursar.reports.lake.schema import PAYMENT_EVENTS
from bursar.reports.tail.tail_rows import TailRows


class Value:
    """A value that can be watched; a row may hold any."""


def test_rows_that_were_dropped_are_forgotten_also_if_nobody_asks_for_their_arrow_form() -> None:
    rows = TailRows(PAYMENT_EVENTS)
    for order in range(3):
        value = Value()
        rows.put(("attempt", order), (value,), order)
        watched = weakref.ref(value)
        del value
        rows.drop_below(order + 1)
        assert watched() is None, order
    assert len(rows) == 0
