"""The judges of histories accept possible histories and detect each kind of impossible one."""

import pytest

from tests.support.dynamo.histories import (
    NEVER,
    NONE,
    Append,
    Call,
    ReadAll,
    append_anomalies,
    linearizable,
    register,
    registers,
)


def call(client: str, action: object, invoked: int, answered: int, answer: object = None) -> Call:
    return Call(client, action, invoked, answered, answer)


WRITE_1 = call("a", ("write", 1), 0, 1, NONE)

POSSIBLE = {
    "one after another": [WRITE_1, call("b", ("read",), 2, 3, 1)],
    "a read beside a write sees the old": [call("a", ("write", 1), 0, 3, NONE), call("b", ("read",), 1, 2, NONE)],
    "or the new": [call("a", ("write", 1), 0, 3, NONE), call("b", ("read",), 1, 2, 1)],
    "an unanswered write was never done": [call("a", ("write", 1), 0, NEVER), call("b", ("read",), 2, 3, NONE)],
    "or late": [
        call("a", ("write", 1), 0, NEVER),
        call("b", ("read",), 2, 3, NONE),
        call("b", ("read",), 4, 5, 1),
    ],
    "compare-and-set": [
        WRITE_1,
        call("a", ("cas", 1, 2), 2, 5, "ok"),
        call("b", ("cas", 1, 3), 3, 4, ("refused", 2)),
        call("b", ("add", 5), 6, 7, 7),
        call("b", ("delete",), 8, 9, 7),
    ],
}
IMPOSSIBLE = {
    "a stale read": [WRITE_1, call("b", ("read",), 2, 3, NONE)],
    "a lost write": [WRITE_1, call("a", ("write", 2), 2, 3, 1), call("b", ("read",), 4, 5, 1)],
    "a value from nowhere": [WRITE_1, call("b", ("read",), 2, 3, 9)],
    "back in time": [
        WRITE_1,
        call("a", ("write", 2), 2, 9, 1),
        call("b", ("read",), 3, 4, 2),
        call("c", ("read",), 5, 6, 1),
    ],
    "two winners of one compare-and-set": [
        WRITE_1,
        call("a", ("cas", 1, 2), 2, 5, "ok"),
        call("b", ("cas", 1, 3), 3, 4, "ok"),
    ],
    "a refusal without a reason": [WRITE_1, call("a", ("cas", 1, 2), 2, 3, ("refused", 1))],
    "a lost addition": [call("a", ("add", 1), 0, 3, 1), call("b", ("add", 1), 1, 2, 1)],
    "an unanswered write that came and went": [
        call("a", ("write", 1), 0, NEVER),
        call("b", ("read",), 2, 3, 1),
        call("b", ("read",), 4, 5, NONE),
    ],
}


@pytest.mark.parametrize("history", POSSIBLE.values(), ids=POSSIBLE)
def test_a_possible_history_of_an_item_is_accepted(history: list[Call]) -> None:
    assert linearizable(history, register, NONE)


@pytest.mark.parametrize("history", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_history_of_an_item_is_seen(history: list[Call]) -> None:
    assert not linearizable(history, register, NONE)


BOTH_1 = call("a", ("write", (("x", None, 1), ("y", None, 1))), 0, 1, "ok")


def test_a_possible_history_of_transactions_is_accepted() -> None:
    beside = call("a", ("write", (("x", 1, 2), ("y", None, 2))), 2, 9, "ok")
    refused = call("b", ("write", (("x", 1, 3), ("y", 2, 3))), 5, 6, ("refused", ("x",)))
    before, after = call("b", ("get", ("x", "y")), 3, 4, (1, 1)), call("c", ("get", ("x", "y")), 7, 8, (2, 2))
    assert linearizable([BOTH_1, beside, before, refused, after], registers, ())


@pytest.mark.parametrize(
    "impossible",
    [
        [call("a", ("write", (("x", 1, 2), ("y", None, 2))), 2, 9, "ok"), call("b", ("get", ("x", "y")), 3, 4, (2, 1))],
        [
            call("a", ("write", (("x", 1, 2), ("y", 1, 1))), 2, 5, "ok"),
            call("b", ("write", (("x", 1, 1), ("y", 1, 2))), 3, 6, "ok"),
        ],
        [
            call("a", ("write", (("x", None, 2), ("y", None, 2))), 2, NEVER),
            call("b", ("get", ("x",)), 3, 4, (2,)),
            call("b", ("get", ("y",)), 5, 6, (1,)),
        ],
    ],
    ids=["a torn read", "write skew", "a torn transaction without an answer"],
)
def test_an_impossible_history_of_transactions_is_seen(impossible: list[Call]) -> None:
    assert not linearizable([BOTH_1, *impossible], registers, ())


def test_a_possible_history_of_appends_is_accepted() -> None:
    history = [
        call("a", Append(1, ("x", "y")), 0, 5, "ok"),
        call("b", ReadAll(("x", "y")), 1, 2, ((), ())),
        call("b", Append(2, ("x",)), 3, NEVER),
        call("c", ReadAll(("x", "y")), 4, 8, ((1,), (1,))),
        call("a", Append(3, ("y",)), 6, 7, "refused"),
    ]
    assert append_anomalies(history, {"x": (1, 2), "y": (1,)}) == []
    assert append_anomalies(history, {"x": (1,), "y": (1,)}) == []


ANOMALIES = {
    "lost": ([call("a", Append(1, ("x",)), 0, 1, "ok")], {"x": ()}, "1 was acknowledged and is not there"),
    "torn": ([call("a", Append(1, ("x", "y")), 0, NEVER)], {"x": (1,), "y": ()}, "1 is torn"),
    "doubled": ([call("a", Append(1, ("x",)), 0, 1, "ok")], {"x": (1, 1)}, "x holds a value twice"),
    "foreign": ([], {"x": (7,)}, "x holds 7, which nobody appended"),
    "refused": ([call("a", Append(1, ("x",)), 0, 1, "refused")], {"x": (1,)}, "1 was refused and is there"),
    "forked": (
        [
            call("a", Append(1, ("x",)), 0, 1, "ok"),
            call("a", Append(2, ("x",)), 2, 3, "ok"),
            call("b", ReadAll(("x",)), 2, 3, ((2,),)),
        ],
        {"x": (1, 2)},
        "no beginning of what it became",
    ),
    "opposite orders": (
        [call("a", Append(1, ("x", "y")), 0, 9, "ok"), call("b", Append(2, ("x", "y")), 1, 8, "ok")],
        {"x": (1, 2), "y": (2, 1)},
        "a cycle",
    ),
    "a torn read": (
        [call("a", Append(1, ("x", "y")), 0, 9, "ok"), call("b", ReadAll(("x", "y")), 1, 8, ((1,), ()))],
        {"x": (1,), "y": (1,)},
        "a cycle",
    ),
    "a long fork": (
        [
            call("a", Append(1, ("x",)), 0, 9, "ok"),
            call("b", Append(2, ("y",)), 0, 9, "ok"),
            call("c", ReadAll(("x", "y")), 1, 8, ((1,), ())),
            call("d", ReadAll(("x", "y")), 1, 8, ((), (2,))),
        ],
        {"x": (1,), "y": (2,)},
        "a cycle",
    ),
    "a stale read": (
        [call("a", Append(1, ("x",)), 0, 1, "ok"), call("b", ReadAll(("x",)), 2, 3, ((),))],
        {"x": (1,)},
        "a cycle",
    ),
}


@pytest.mark.parametrize(("history", "final", "expected"), ANOMALIES.values(), ids=ANOMALIES)
def test_an_anomaly_among_appends_is_named(
    history: list[Call], final: dict[str, tuple[int, ...]], expected: str
) -> None:
    assert expected in "\n".join(append_anomalies(history, final))
