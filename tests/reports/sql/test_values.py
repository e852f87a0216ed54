"""Values of an answer: times are those that Arrow converts itself, in UTC."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bursar.reports.sql.values import rows_of
from tests.support.hypothesis_profiles import examples

TIME = "TIMESTAMP WITH TIME ZONE"
moments = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))


@examples(50)
@given(st.lists(moments, min_size=1), st.integers(0, 3))
def test_times_are_those_of_arrow(values: list[datetime | None], skipped: int) -> None:
    column = pa.array(values, pa.timestamp("us", tz="UTC"))
    batch = pa.RecordBatch.from_arrays([column], names=["at"]).slice(skipped)
    found = [at for (at,) in rows_of(batch, [TIME])]
    assert found == batch.column(0).to_pylist() == values[skipped:]
    assert all(at is None or at.tzinfo is UTC for at in found)
