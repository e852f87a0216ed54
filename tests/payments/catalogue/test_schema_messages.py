"""A problem of a JSON value names the path to it, also below the first level."""

from jsonschema_rs import Draft202012Validator

from bursar.payments.catalogue.schema_messages import schema_problems


def test_a_missing_and_an_unknown_key_are_part_of_the_path() -> None:
    inner = {"type": "object", "required": ["a"], "properties": {"a": {}}, "additionalProperties": False}
    validator = Draft202012Validator({"type": "object", "properties": {"outer": inner}})
    problems = schema_problems(validator, {"outer": {"b": 1}})
    assert {(each.path, each.code) for each in problems} == {
        (("outer", "a"), "required"),
        (("outer", "b"), "additionalProperties"),
    }
