"""Numbers: the canonical text, the limits with Amazon's words, arithmetic, sizes, and keys that sort as numbers do."""

from collections.abc import Callable
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items import numbers


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    """Return any number that DynamoDB stores, in any of its spellings."""
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    exponent = draw(st.integers(-130, 125 - len(digits) + 1)) if draw(st.booleans()) else 0
    point = draw(st.integers(0, len(digits)))
    text = digits[:point] + draw(st.sampled_from(["", "."])) + digits[point:]
    sign = draw(st.sampled_from(["", "-", "+"]))
    spelled = sign + draw(st.sampled_from(["", "00"])) + text
    if exponent:
        spelled += (
            draw(st.sampled_from("eE")) + draw(st.sampled_from(["", "+"] if exponent > 0 else [""])) + str(exponent)
        )
    value = Decimal(spelled)
    if value and not -130 <= value.adjusted() <= 125:
        return digits
    return spelled


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0E125", "0"),
        ("60.00", "60"),
        ("00042", "42"),
        ("1.5E2", "150"),
        ("+3", "3"),
        (".123", "0.123"),
        ("5.", "5"),
        ("-1.50E-3", "-0.0015"),
        ("1e+5", "100000"),
        ("100", "100"),
        ("1E125", "1" + "0" * 125),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9" * 38, "9" * 38),
        ("12345678901234567890123456789012345678000", "12345678901234567890123456789012345678000"),
    ],
)
def test_a_number_is_given_back_in_plain_notation(text: str, canonical: str) -> None:
    assert numbers.canonical(text) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("dog", "The parameter cannot be converted to a numeric value: dog"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("Infinity", "The parameter cannot be converted to a numeric value: Infinity"),
        (".", "The parameter cannot be converted to a numeric value: ."),
        ("1_0", "The parameter cannot be converted to a numeric value: 1_0"),
        ("٣", "The parameter cannot be converted to a numeric value: ٣"),
        ("1E126", numbers.TOO_LARGE),
        ("-11E125", numbers.TOO_LARGE),
        ("1e99999999999", f"{numbers.NOT_A_NUMBER}: 1e99999999999"),
        ("0e126", numbers.TOO_LARGE),
        ("0e-131", numbers.TOO_SMALL),
        ("1e2147483647", numbers.TOO_SMALL),
        ("1e9223372036854775808", f"{numbers.NOT_A_NUMBER}: 1e9223372036854775808"),
        ("1E-131", numbers.TOO_SMALL),
        ("1e-99999999999", f"{numbers.NOT_A_NUMBER}: 1e-99999999999"),
        ("1" * 39, numbers.TOO_PRECISE),
        ("0." + "3" * 39, numbers.TOO_PRECISE),
    ],
)
def test_texts_that_are_no_numbers_are_refused_in_amazons_words(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        numbers.canonical(text)
    assert refusal.value.message == message
    assert refusal.value.code == "ValidationException"


@given(number_texts())
def test_the_canonical_text_is_the_same_number_and_canonical_itself(text: str) -> None:
    canonical = numbers.canonical(text)
    assert Decimal(canonical) == Decimal(text)
    assert numbers.canonical(canonical) == canonical
    assert numbers.parse_number(text) == Decimal(text)


@given(number_texts(), number_texts())
def test_equal_numbers_have_one_canonical_text(left: str, right: str) -> None:
    same = numbers.canonical(left) == numbers.canonical(right)
    assert same == (Decimal(left) == Decimal(right))


@given(number_texts(), number_texts())
def test_keys_sort_as_the_numbers_do(left: str, right: str) -> None:
    left_key, right_key = numbers.number_key(left), numbers.number_key(right)
    assert (left_key < right_key) == (Decimal(left) < Decimal(right))
    assert (left_key == right_key) == (Decimal(left) == Decimal(right))


@given(number_texts(), number_texts())
def test_no_key_begins_another(left: str, right: str) -> None:
    left_key, right_key = numbers.number_key(left), numbers.number_key(right)
    assert left_key == right_key or not right_key.startswith(left_key)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ("1", "10000000000000000000000", "10000000000000000000001"),
        ("0.1", "0.2", "0.3"),
        ("-5", "5", "0"),
        ("999999999999999999", "1", "1000000000000000000"),
        ("1.5", "1.5", "3"),
    ],
)
def test_sums_are_exact(left: str, right: str, total: str) -> None:
    assert numbers.add(left, right) == total
    assert numbers.add(right, left) == total
    assert numbers.subtract(total, right) == left


def storable(number: Decimal) -> bool:
    with localcontext(prec=400):
        digits = number.normalize().as_tuple().digits
    return number == 0 or (len(digits) <= 38 and -130 <= number.adjusted() <= 125)


@given(number_texts(), number_texts())
def test_a_sum_or_difference_is_exact_or_refused(left: str, right: str) -> None:
    left, right = numbers.canonical(left), numbers.canonical(right)
    with localcontext(prec=400):
        cases = [(numbers.add, Decimal(left) + Decimal(right)), (numbers.subtract, Decimal(left) - Decimal(right))]
    for calculate, exact in cases:
        if storable(exact):
            assert Decimal(calculate(left, right)) == exact
        else:
            with pytest.raises(DynamoError, match=r"(over|under)flow"):
                calculate(left, right)


def test_a_difference_of_nothing_is_zero_however_small_the_numbers_are() -> None:
    assert numbers.subtract("1.5E-130", "1.5E-130") == "0"


@pytest.mark.parametrize(("left", "right"), [("1" + "0" * 50, "1"), ("9" + "0" * 125, "9" + "0" * 125)])
def test_a_sum_beyond_38_digits_is_called_an_overflow(left: str, right: str) -> None:
    with pytest.raises(DynamoError, match="Number overflow"):
        numbers.add(left, right)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 1),
        ("1", 2),
        ("-1", 3),
        ("12", 2),
        ("123", 3),
        ("120", 3),
        ("100", 2),
        ("0.5", 2),
        ("9" * 38, 20),
        ("1.23", 3),
        ("12000", 3),
        ("0.012", 3),
        ("1010", 3),
        ("10.05", 3),
        ("3.14159", 5),
        ("123456", 4),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
    ],
)
def test_a_number_takes_a_byte_for_two_digits_and_one_more(text: str, size_bytes: int) -> None:
    assert numbers.number_size(text) == size_bytes


@given(number_texts())
def test_no_number_takes_more_than_22_bytes(text: str) -> None:
    assert 1 <= numbers.number_size(numbers.canonical(text)) <= 22


@given(st.one_of(number_texts(), st.from_regex(r"-?[0-9]{1,40}", fullmatch=True), st.text(max_size=5)))
def test_the_fast_path_of_canonical_equals_the_plain_one(text: str) -> None:
    def outcome(canonical: Callable[[str], str]) -> str:
        try:
            return canonical(text)
        except DynamoError as error:
            return str(error)

    assert outcome(numbers.canonical) == outcome(numbers.canonical_by_parts)


@given(*[st.integers(-(10**19), 10**19).map(str)] * 2)
def test_the_fast_path_of_add_equals_the_plain_one(left: str, right: str) -> None:
    assert numbers.add(left, right) == numbers.add_exactly(left, right)
