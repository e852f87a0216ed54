"""Rules as a table, and a graph as a diagram."""

import pytest

from bursar.rules.language.render import rules_table, transitions_diagram
from tests.support.rules.samples import ORDERS, RETURNS


def test_the_table_has_a_row_for_every_rule() -> None:
    lines = rules_table(ORDERS).splitlines()
    assert lines[:3] == [
        "| rule | about | kind of rule | keeps |",
        "|---|---|---|---|",
        "| number | order | unique | number belongs to at most one item |",
    ]
    assert lines[-1] == "| kept-fixed | fixed | kept | never removed |"
    assert len(lines) == 2 + len(ORDERS.rules) + 1


def test_the_table_shows_sums_and_actors() -> None:
    assert rules_table(RETURNS).splitlines()[3:] == [
        "| returned | return | bounded sum | the sum of amount is its sale's returned, which is at most paid |",
        "| checked | return | two actors | asked_by and approved_by are two different people, each written once |",
    ]


def test_the_graph_as_mermaid() -> None:
    assert transitions_diagram(ORDERS, "moves").splitlines() == [
        "stateDiagram-v2",
        '    state "open" as s0',
        '    state "paid" as s1',
        '    state "void" as s2',
        '    state "sent" as s3',
        "    [*] --> s0",
        "    s0 --> s1",
        "    s0 --> s2",
        "    s1 --> s3",
        "    s2 --> [*]",
        "    s3 --> [*]",
    ]


def test_the_graph_as_text() -> None:
    assert transitions_diagram(ORDERS, "moves", "ascii").splitlines()[:4] == [
        "● open ──► paid, void",
        "  paid ──► sent",
        "  void ■",
        "  sent ■",
    ]


def test_only_a_graph_can_be_drawn() -> None:
    with pytest.raises(ValueError, match="rule 'number': must be a transitions rule; got unique"):
        transitions_diagram(ORDERS, "number")
    with pytest.raises(ValueError, match="form of a diagram: must be mermaid or ascii; got 'svg'"):
        transitions_diagram(ORDERS, "moves", "svg")
