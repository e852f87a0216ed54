"""Log lines are JSON with the named fields and nothing else."""

import json
import logging
import sys

from bursar.portal.api.json_logs import JsonFormatter


def _line(**extra: object) -> dict[str, object]:
    try:
        raise ValueError("ada@example.org")
    except ValueError:
        caught = sys.exc_info()
    record = logging.LogRecord("bursar.portal", logging.ERROR, __file__, 1, "went %s", ("wrong",), caught)
    vars(record).update(extra)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    parsed: dict[str, object] = json.loads(written)
    return parsed


def test_a_line_names_the_error_and_its_place() -> None:
    line = _line(requestId="r-1", status=500)
    assert (line["level"], line["message"], line["requestId"], line["status"]) == ("error", "went wrong", "r-1", 500)
    assert line["error"] == "ValueError"
    assert "test_json_logs.py" in str(line["trace"])


def test_other_fields_and_the_text_of_errors_are_left_out() -> None:
    assert "ada" not in str(_line(metadata={"email": "ada@example.org"}, token="0" * 32))
    assert "0000" not in str(_line(token="0" * 32))
