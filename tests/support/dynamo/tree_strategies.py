"""Random syntax trees, of everything that the grammars allow."""

from hypothesis import strategies as st

from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    FunctionCall,
    In,
    Logical,
    Not,
    Operand,
    Path,
    PathPart,
    Value,
)

heads = st.sampled_from(["a", "b", "c", "d", "#n", "#e"])
parts: st.SearchStrategy[PathPart] = heads | st.integers(0, 3)
paths = st.builds(lambda head, tail: Path((head, *tail)), heads, st.lists(parts, max_size=3))
placeholders = st.sampled_from([":a", ":b", ":c1"]).map(Value)
operands: st.SearchStrategy[Operand] = paths | placeholders | paths.map(lambda path: FunctionCall("size", (path,)))

primitives: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), operands, operands),
    st.builds(Between, operands, operands, operands),
    st.builds(
        lambda operand, options: In(operand, tuple(options)), operands, st.lists(operands, min_size=1, max_size=3)
    ),
    paths.map(lambda path: FunctionCall("attribute_exists", (path,))),
    st.builds(lambda left, right: FunctionCall("contains", (left, right)), operands, operands),
)

conditions: st.SearchStrategy[Condition] = st.recursive(
    primitives,
    lambda inner: st.builds(Logical, st.sampled_from(["AND", "OR"]), inner, inner) | st.builds(Not, inner),
    max_leaves=8,
)

new_values: st.SearchStrategy[Operand] = st.one_of(
    paths,
    placeholders,
    st.builds(lambda path, default: FunctionCall("if_not_exists", (path, default)), paths, placeholders),
    st.builds(lambda left, right: FunctionCall("list_append", (left, right)), paths, placeholders),
    st.builds(lambda sign, left, right: FunctionCall(sign, (left, right)), st.sampled_from("+-"), paths, placeholders),
)
