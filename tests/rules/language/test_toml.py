"""Rules as TOML: written rules read back equal, and the error for a bad document names the place."""

from decimal import Decimal

import pytest
from hypothesis import given

from bursar.payments import FeeCatalogue, payment_rules
from bursar.rules import Check, Rules, RulesInvalid, Where
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from tests.support.hypothesis_profiles import examples
from tests.support.rules.samples import ORDERS, RETURNS
from tests.support.rules.worlds import rule_sets


def test_the_samples_read_back_equal() -> None:
    assert rules_from_toml(rules_to_toml(ORDERS)) == ORDERS
    assert rules_from_toml(rules_to_toml(RETURNS)) == RETURNS


def test_the_payments_rules_read_back_equal() -> None:
    rules = payment_rules(FeeCatalogue.default())
    assert rules_from_toml(rules_to_toml(rules)) == rules


@examples(50)
@given(world=rule_sets())
def test_any_rules_read_back_equal(world: tuple[Rules, object]) -> None:
    assert rules_from_toml(rules_to_toml(world[0])) == world[0]


def test_every_type_of_value_reads_back_equal() -> None:
    values = {":a": 'a "quote" \\ \x7f é \n', ":b": -3, ":c": Decimal("0.10"), ":d": True, ":e": b"\x00", ":f": "7"}
    condition = " OR ".join(f"x = {name}" for name in values)
    rules = Rules("pk", rules=(Check("c", where=Where(condition, values=values)),))
    assert rules_from_toml(rules_to_toml(rules)) == rules


def test_the_form_is_small() -> None:
    text = """
        partition_key = "id"
        [[rules]]
        rule = "unique"
        name = "email"
        attributes = "email"
        [[rules]]
        rule = "check"
        name = "adult"
        where = {condition = "age >= :a", values = {":a" = 18}}
    """
    rules = rules_from_toml(text)
    assert [rule.describe() for rule in rules.rules] == ["email belongs to at most one item", "age >= 18"]
    assert rules.kinds == ()


ERRORS = {
    "partition_key = ": "rules: must be TOML; got an error:",
    "": "partition_key: must be",
    'partition_key = "a"\nrule = 1': "rules: must have only",
    'partition_key = "a"\nrules = 1': "rules: must be a list of tables; write [[rules]] above each",
    'partition_key = "a"\n[[rules]]\nrule = "uniq"': "rules[0].rule: must be one of unique, unique while",
    'partition_key = "a"\n[[rules]]\nname = "x"': "rules[0].rule: must be one of",
    'partition_key = "a"\n[[rules]]\nrule = "unique"\nname = "x"\nattribute = "y"': "rules[0]: must have only ",
    'partition_key = "a"\n[[rules]]\nrule = "unique"\nname = "x"': "rules[0]: unique rule 'x': attributes",
    'partition_key = "a"\n[[rules]]\nrule = "unique"\nattributes = ["y"]': "rules[0]: ",
    'partition_key = "a"\n[[rules]]\nrule = "check"\nname = "x"\nwhere = "y"': "rules[0].where: must be a table of",
    'partition_key = "a"\n[[rules]]\nrule = "check"\nname = "x"\nwhere = {}': "rules[0].where: ",
    'partition_key = "a"\n[[kinds]]\nname = "x"\nkeep = true': "kinds[0]: must have only kept, name; got 'keep'",
    'partition_key = "a"\n[[kinds]]\nname = 1': "kinds[0]: name of a kind: must be letters",
    'partition_key = "a"\n[[rules]]\nrule = "immutable"\nname = "x"\nattributes = [1]': "rules[0]: immutable rule 'x'",
    'partition_key = "a"\n[[rules]]\nrule = ["unique"]': "rules[0].rule: must be one of",
}


@pytest.mark.parametrize("text", ERRORS)
def test_the_error_for_a_bad_document_names_the_place(text: str) -> None:
    with pytest.raises(RulesInvalid) as raised:
        rules_from_toml(text)
    assert str(raised.value).startswith(ERRORS[text])
