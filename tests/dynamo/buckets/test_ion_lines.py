"""Lines of Amazon Ion: the form of exports, what imports accept, and the lines that they refuse."""

import io
from typing import Any

import orjson
import pytest
from hypothesis import given

from bursar.dynamo.buckets.import_files import BadLine
from bursar.dynamo.buckets.ion_lines import ion_items, ion_line
from bursar.dynamo.items.attribute_values import normalise_item
from tests.support.dynamo.tables import item
from tests.support.dynamo.value_strategies import items as any_items

OF_THE_GUIDE = (
    '$ion_1_0 {Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5",'
    'ISBN:"333-3333333333",Id:103.,InPublication:false,PageCount:6d2,Price:2d3,ProductCategory:"Book",'
    'Title:"Book 103 Title"}}'
)
BOOK = item(
    Authors={"SS": ["Author1", "Author2"]},
    Dimensions="8.5 x 11.0 x 1.5",
    ISBN="333-3333333333",
    Id=103,
    InPublication={"BOOL": False},
    PageCount=600,
    Price=2000,
    ProductCategory="Book",
    Title="Book 103 Title",
)


def read(text: str) -> list[dict[str, Any]]:
    return [normalise_item(one) for _, one in ion_items(io.BytesIO(text.encode()))]


def test_the_example_of_the_guide_is_read() -> None:
    assert read(f"{OF_THE_GUIDE}\n\n{OF_THE_GUIDE}\n") == [normalise_item(BOOK)] * 2


def test_a_line_has_the_form_of_the_guide() -> None:
    line = ion_line(orjson.dumps({"Item": BOOK}))
    expected = OF_THE_GUIDE.replace("103.,", "103d0,").replace("6d2", "600d0").replace("2d3", "2000d0")
    assert line.decode() == f"{expected}\n"


@given(any_items)
def test_what_is_written_is_read_again(body: dict[str, Any]) -> None:
    stored = normalise_item(body)
    line = ion_line(orjson.dumps({"Item": stored}))
    assert line.count(b"\n") == 1
    assert read(line.decode()) == [stored]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: must be Ion"),
        ('{"Item"', "line 1: must be Ion"),
        ("\n{Item:{}} {Item:{}}", "line 2: must be Ion"),
        ("{Other:{}}", "line 1: must be {Item:{…}}"),
        ("{Item:[]}", "line 1: must be {Item:{…}}"),
        ("7", "line 1: must be {Item:{…}}"),
        ("{Item:{a:1e0}}", "; got FLOAT"),
        ("{Item:{a:2026-11-30T}}", "; got TIMESTAMP"),
        ("{Item:{a:word}}", "; got SYMBOL"),
        ("{Item:{a:(b)}}", "; got SEXP"),
        ('{Item:{a:{{"text"}}}}', "; got CLOB"),
        ('{Item:{a:$dynamodb_SS::["a",1]}}', "line 1: must have members of one type after $dynamodb_SS"),
    ],
)
def test_a_line_that_is_no_item_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadLine) as raised:
        read(text)
    assert message in str(raised.value)


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.dynamo.buckets.import_files.LINE_BYTES_MAX", 20)
    with pytest.raises(BadLine, match="line 1: must have at most 20 bytes"):
        read(OF_THE_GUIDE)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadLine, match="line 1: must be Ion"):
        list(ion_items(io.BytesIO(b'{Item:{a:"\xff"}}')))


def test_nulls_of_any_type_are_null() -> None:
    assert read("{Item:{a:null,b:null.string,c:7,d:[null,true]}}") == [
        {
            "a": {"NULL": True},
            "b": {"NULL": True},
            "c": {"N": "7"},
            "d": {"L": [{"NULL": True}, {"BOOL": True}]},
        }
    ]
