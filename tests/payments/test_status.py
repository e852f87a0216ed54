"""The graph: complete, forward only, and never a failure where Pay.gov may have charged."""

from typing import get_args

import pytest

from bursar.payments import status
from bursar.payments.status import EDGES, FINAL, LIVE, STATUSES, NoSuchEdge, edge, payment_status


def test_every_status_is_on_some_edge_and_can_be_reached() -> None:
    assert set(STATUSES) == set(get_args(status.Status))
    reached = {e.target for e in EDGES}
    assert reached == set(STATUSES)


def test_the_moves_are_exactly_those_of_the_design() -> None:
    assert set(status.moves()) == {
        ("received", "initiated"),
        ("received", "failed"),
        ("received", "processing"),  # only in a restored store: Pay.gov has a collection of it
        ("initiated", "processing"),
        ("initiated", "failed"),
        ("processing", "processed"),
        ("processing", "pending"),
        ("processing", "failed"),
        ("pending", "processed"),
        ("pending", "failed"),
    }


def test_no_move_leads_back() -> None:
    order = {name: place for place, name in enumerate(("received", "initiated", "processing", "pending"))}
    for source, target in status.moves():
        assert target in FINAL or order[target] > order[source]


def test_nothing_leaves_a_final_status() -> None:
    assert not [e for e in EDGES if e.source in FINAL and e.moves]
    assert {e.event for e in EDGES if e.source in FINAL} == {
        *("metadata_erased", "returned", "charged_back", "refund_requested", "refund_approved", "refund_rejected")
    }


def test_a_step_is_named_by_where_it_leaves_and_its_event() -> None:
    steps = [(e.source, e.event) for e in EDGES if e.event != "imported"]  # an import is named by its target too
    assert len(steps) == len(set(steps))
    assert len({(e.source, e.event, e.target) for e in EDGES}) == len(EDGES)


def test_only_an_operator_begins_an_attempt_in_another_status() -> None:
    others = [e for e in EDGES if e.source is None and e.target != "received"]
    assert {(e.event, e.actors) for e in others} == {("imported", ("operator",))}
    assert {e.target for e in others} == {"processed", "failed", "pending", "processing"}


def test_every_edge_names_its_actors_and_its_meaning() -> None:
    for e in EDGES:
        assert e.actors
        assert set(e.actors) <= set(get_args(status.Actor))
        assert e.meaning


def test_the_event_names_are_those_of_the_steps() -> None:
    assert set(get_args(status.EventName)) == set(status.event_names())


def test_only_a_definite_no_fails_an_attempt_that_may_have_been_charged() -> None:
    ends = {e.event for e in EDGES if e.source == "processing" and e.target == "failed"}
    assert ends == {"refused", "expired_unsent", "never_charged", "resolved_failed"}


def test_live_and_blocking() -> None:
    assert set(STATUSES) - LIVE == FINAL
    assert LIVE | {"processed"} == status.BLOCKING


def test_edge_finds_the_step() -> None:
    assert edge("initiated", "claimed").target == "processing"
    assert edge(None, "started").target == "received"


@pytest.mark.parametrize(
    ("source", "event", "target"),
    [("failed", "claimed", None), (None, "claimed", None), ("processing", "completed", "failed")],
)
def test_edge_refuses_what_the_graph_does_not_have(
    source: status.Status | None, event: status.EventName, target: status.Status | None
) -> None:
    with pytest.raises(NoSuchEdge, match=event):
        edge(source, event, target)


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("Success", "processed"),
        ("Settled", "processed"),
        ("Pending", "pending"),
        ("Received", "pending"),
        ("Waiting", "pending"),
        ("Submitted", "pending"),
        ("Failed", "failed"),
        ("Cancelled", "failed"),
        ("Retired", "failed"),
        ("SomethingNew", None),
        ("success", None),
    ],
)
def test_paygov_words(word: str, means: str | None) -> None:
    assert status.from_paygov(word) == means


@pytest.mark.parametrize(
    ("attempts", "payment"),
    [
        (["failed", "processed"], "success"),
        (["processed"], "success"),
        (["failed", "failed"], "failed"),
        (["failed", "initiated"], "pending"),
        (["pending"], "pending"),
        (["processing", "failed"], "pending"),
        ([], "pending"),
    ],
)
def test_payment_status(attempts: list[str], payment: str) -> None:
    assert payment_status(attempts) == payment


def test_queries() -> None:
    leaving = {"token_given", "start_failed", "start_abandoned", "outcome_unknown"}
    assert {e.event for e in status.edges_from("received")} == leaving
    assert {e.event for e in status.edges_between("initiated", "failed")} == {"expired"}
    assert status.allows("pending", "processed")
    assert not status.allows("processed", "failed")
    assert len(set(status.event_names())) == len(status.event_names())
