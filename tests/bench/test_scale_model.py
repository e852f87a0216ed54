"""The model of partitions: its units are the engine's and those of docs/scale.md, and overload loses no payment."""

from pathlib import Path

import pytest

from bench import scale_model

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_page_has_the_measured_units() -> None:
    units = scale_model.measured_charges()
    text = PAGE.read_text(encoding="utf-8")
    for line in (*scale_model.units_table(units), *scale_model.shards_table(units)):
        assert line in text


def test_beyond_the_rate_of_a_partition_writes_are_refused_and_no_payment_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scale_model, "WRITE_UNITS_PER_S", 60)  # 15 payments a second
    result = scale_model.load(30, 3, changes_shards=1)
    assert (result.paid, result.lost) == (result.offered, 0)
    assert result.refused > 0
    assert result.paid / result.span_s < 60 / 4 * 1.5
    sharded = scale_model.load(30, 3, changes_shards=8)
    assert sharded.refused < result.refused
