"""The months of the lake's files are Iceberg's."""

from datetime import date

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.transforms import MonthTransform
from pyiceberg.types import DateType

from bursar.reports.lake.monthly_files import months_since_1970

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))


@given(st.lists(st.none() | days, max_size=20))
def test_a_month_is_the_one_of_icebergs_transform(chosen: list[date | None]) -> None:
    transform: MonthTransform[int] = MonthTransform()
    iceberg = transform.transform(DateType())  # of days since 1970
    expected = [None if day is None else iceberg((day - date(1970, 1, 1)).days) for day in chosen]
    months = months_since_1970(pa.chunked_array([pa.array(chosen, pa.date32())]))
    assert months.to_pylist() == expected
    assert months.type == pa.int32()
