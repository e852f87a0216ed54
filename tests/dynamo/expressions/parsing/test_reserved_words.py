"""The reserved words."""

from bursar.dynamo.expressions.parsing.reserved_words import RESERVED_WORDS, is_reserved


def test_all_words_of_the_developer_guide_are_reserved() -> None:
    assert len(RESERVED_WORDS) == 573
    assert {"ABORT", "NAME", "SIZE", "STATUS", "TTL", "ZONE"} <= RESERVED_WORDS


def test_case_does_not_matter() -> None:
    assert is_reserved("status")
    assert is_reserved("StAtUs")
    assert not is_reserved("statuses")
