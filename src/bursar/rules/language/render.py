"""Rules for people to read: a Markdown table, and the graph of a transitions rule as Mermaid or plain text."""

from bursar.rules.language.ruleset import Rules
from bursar.rules.language.vocabulary import Transitions

FORMS = ("mermaid", "ascii")


def rules_table(rules: Rules) -> str:
    """Return a Markdown table with one row per rule: name, kind of item, keyword, description."""
    rows = [("rule", "about", "kind of rule", "keeps")]
    rows += [(rule.name, rule.kind or "every item", rule.keyword, rule.describe()) for rule in rules.rules]
    rows += [(f"kept-{kind.name}", kind.name, "kept", "never removed") for kind in rules.kinds if kind.kept]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|---|---|---|---|")
    return "\n".join(lines) + "\n"


def transitions_diagram(rules: Rules, name: str, form: str = "mermaid") -> str:
    """Return the graph of the transitions rule ``name``.

    Raises ``KeyError`` if no rule has the name, ``ValueError`` for another kind of rule or an unknown ``form``.
    """
    rule = rules[name]
    if not isinstance(rule, Transitions):
        raise ValueError(f"rule {name!r}: must be a transitions rule; got {rule.keyword}")
    if form not in FORMS:
        raise ValueError(f"form of a diagram: must be {' or '.join(FORMS)}; got {form!r}")
    return _mermaid(rule) if form == "mermaid" else _ascii(rule)


def _mermaid(rule: Transitions) -> str:
    ids = {state: f"s{position}" for position, state in enumerate(rule.states)}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state}" as {ids[state]}' for state in rule.states]
    lines += [f"    [*] --> {ids[state]}" for state in rule.initial]
    lines += [f"    {ids[source]} --> {ids[target]}" for source, target in rule.edges]
    lines += [f"    {ids[state]} --> [*]" for state in rule.final]
    return "\n".join(lines) + "\n"


def _ascii(rule: Transitions) -> str:
    """Return one line per value: the values to which it may move, or that it is final."""
    width = max(len(state) for state in rule.states)
    lines = []
    for state in rule.states:
        mark = "●" if state in rule.initial else " "
        targets = [target for source, target in rule.edges if source == state]
        lines.append(f"{mark} {state:<{width}} ──► {', '.join(targets)}" if targets else f"{mark} {state:<{width}} ■")
    return "\n".join([*lines, "", "● may start here   ■ final"]) + "\n"
