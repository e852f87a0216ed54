"""Random WHERE clauses on the orders of ``statements``, and each as a FilterExpression."""

from typing import Any

from hypothesis import strategies as st

COMPARED = st.one_of(
    st.tuples(st.sampled_from(["pk", "g", "t"]), st.sampled_from(["'a'", "'b'", "'g1'", "'text3'", "'b5'"])),
    st.tuples(st.sampled_from(["sk", "v", "m.x"]), st.integers(-1, 9).map(str)),
)
SIMPLE = st.one_of(
    st.tuples(COMPARED, st.sampled_from(["=", "<>", "<", "<=", ">", ">="])).map(
        lambda t: f"{t[0][0]} {t[1]} {t[0][1]}"
    ),
    st.tuples(COMPARED, COMPARED)
    .filter(lambda t: t[0][0] == t[1][0])
    .map(lambda t: f"{t[0][0]} IN [{t[0][1]}, {t[1][1]}]"),
    st.sampled_from(["pk IN ['a', 'c']", "pk = 'b'", "sk BETWEEN 1 AND 3", "begins_with(t, 'text')", "size(t) = 5"]),
)
WHERE = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"NOT ({text})"),
    ),
    max_leaves=5,
)


def as_filter(where: str) -> tuple[str, dict[str, Any]]:
    """Return the condition as a FilterExpression: literals become placeholders, lists lose their brackets."""
    values: dict[str, Any] = {}
    words = []
    for word in (
        where.replace("[", "( ").replace("]", " )").replace("(", "( ").replace(")", " )").replace(",", " ,").split()
    ):
        if word.startswith("'") or word.lstrip("-").isdigit():
            name = f":v{len(values)}"
            values[name] = {"S": word.strip("'")} if word.startswith("'") else {"N": word}
            words.append(name)
        else:
            words.append(word)
    return " ".join(words), values
