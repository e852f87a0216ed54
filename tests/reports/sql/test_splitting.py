"""Statements are split at semicolons, and never inside of a text, a name or a comment."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.reports.sql.splitting import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1; SELECT 2 ;\n", ["SELECT 1", " SELECT 2 "]),
        ("SELECT ';''' AS \"a;\"\"\" ; SELECT 2", ["SELECT ';''' AS \"a;\"\"\" ", " SELECT 2"]),
        ("-- one; two\nSELECT 1 /* ; */; -- the end;", ["-- one; two\nSELECT 1 /* ; */"]),
        ("SELECT $$a;b$$; SELECT $x$;$$;$x$", ["SELECT $$a;b$$", " SELECT $x$;$$;$x$"]),
        (r"SELECT E'\';'; SELECT 2", [r"SELECT E'\';'", " SELECT 2"]),
        ("SELECT 1 - 2 / 3; SELECT $a", ["SELECT 1 - 2 / 3", " SELECT $a"]),
        ("", [""]),
        ("; -- nothing", ["; -- nothing"]),
        ("SELECT 'open; SELECT 2", ["SELECT 'open", " SELECT 2"]),
    ],
)
def test_a_text_is_split_between_its_statements(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


PIECES = st.sampled_from(["';'", "';'''", '";"', "$$;$$", "$t$;$t$", r"E'\';'", "/* ; */", "-- ;\n", " ", "1", "- 1"])


@given(st.lists(st.lists(PIECES, max_size=5), min_size=1, max_size=4))
def test_duckdb_finds_the_same_statements(statements: list[list[str]]) -> None:
    text = ";".join(f"SELECT 1 AS a, {' || '.join(['2', *pieces])}" if pieces else "SELECT 3" for pieces in statements)
    try:
        expected = len(duckdb.extract_statements(text))
    except duckdb.Error:
        return  # the pieces make no statement
    assert len(split_statements(text)) == expected
