"""Contributor insights: their states, modes, rules and lists, as Amazon's answers were recorded."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.stream_readers import START, HandClock, opened
from tests.support.dynamo.tables import refusal, table

ALL, THROTTLED = "ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(clock: HandClock) -> Engine:
    """Return an engine with the table ``orders``, its global index ``g`` and its local index ``l``."""
    engine = opened(clock)
    engine.execute("CreateTable", table(global_indexes={"ggg": ("g:S",)}, local_indexes={"lll": ("pk:S", "l:S")}))
    return engine


def update(engine: Engine, action: str, **members: str) -> dict[str, Any]:
    request = {"TableName": "orders", "ContributorInsightsAction": action, **members}
    return engine.execute("UpdateContributorInsights", request)


def described(engine: Engine, **members: str) -> dict[str, Any]:
    return engine.execute("DescribeContributorInsights", {"TableName": "orders", **members})


def rule(kind: str, resource: str = "orders") -> str:
    return f"DynamoDBContributorInsights-{kind}-{resource}-{int(START)}000"


def test_insights_are_enabled_changed_and_disabled(engine: Engine, clock: HandClock) -> None:
    off = {"TableName": "orders", "ContributorInsightsStatus": "DISABLED"}
    assert (described(engine), update(engine, "DISABLE")) == (off, off)
    assert update(engine, "ENABLE") == {
        "TableName": "orders",
        "ContributorInsightsStatus": "ENABLING",
        "ContributorInsightsMode": ALL,
    }
    on = {
        "TableName": "orders",
        "ContributorInsightsStatus": "ENABLED",
        "ContributorInsightsMode": ALL,
        "ContributorInsightsRuleList": [rule("PKC"), rule("SKC"), rule("PKT"), rule("SKT")],
        "LastUpdateDateTime": START,
    }
    assert described(engine) == on
    clock.now += 5
    assert update(engine, "ENABLE")["ContributorInsightsStatus"] == "ENABLED", "nothing changes"
    assert described(engine) == on
    assert update(engine, "ENABLE", ContributorInsightsMode=THROTTLED)["ContributorInsightsStatus"] == "ENABLING"
    changed = described(engine)
    assert changed["ContributorInsightsRuleList"] == [rule("PKT"), rule("SKT")], "rules keep their names"
    assert (changed["ContributorInsightsMode"], changed["LastUpdateDateTime"]) == (THROTTLED, START + 5)
    assert update(engine, "DISABLE")["ContributorInsightsStatus"] == "DISABLING"
    left = {**off, "ContributorInsightsMode": THROTTLED}
    assert described(engine) == {**left, "LastUpdateDateTime": START + 5}
    assert update(engine, "DISABLE") == left
    assert "ContributorInsights" not in str(engine.execute("DescribeTable", {"TableName": "orders"}))


def test_a_global_index_has_its_own_and_they_end_with_it(engine: Engine) -> None:
    update(engine, "ENABLE", IndexName="ggg")
    rules = [rule("PKC", "orders-ggg"), rule("PKT", "orders-ggg")]
    assert described(engine, IndexName="ggg")["ContributorInsightsRuleList"] == rules
    assert described(engine)["ContributorInsightsStatus"] == "DISABLED"
    for index in ("lll", "absent"):
        text = f"Requested resource not found: Index: {index} not found for table: orders"
        request = {"TableName": "orders", "IndexName": index}
        assert refusal(engine, "DescribeContributorInsights", request, "ResourceNotFoundException") == text
    removal = [{"Delete": {"IndexName": "ggg"}}]
    engine.execute("UpdateTable", {"TableName": "orders", "GlobalSecondaryIndexUpdates": removal})
    assert engine.execute("ListContributorInsights", {}) == {"ContributorInsightsSummaries": []}


def test_only_those_that_are_on_are_listed_in_pages(engine: Engine) -> None:
    engine.execute("CreateTable", table("another"))
    update(engine, "ENABLE")
    update(engine, "ENABLE", IndexName="ggg", ContributorInsightsMode=THROTTLED)
    first = engine.execute("ListContributorInsights", {"MaxResults": 1})
    summary = {"TableName": "orders", "ContributorInsightsStatus": "ENABLED"}
    assert first["ContributorInsightsSummaries"] == [{**summary, "ContributorInsightsMode": ALL}]
    request = {"TableName": "orders", "NextToken": first["NextToken"]}
    assert engine.execute("ListContributorInsights", request) == {
        "ContributorInsightsSummaries": [{**summary, "IndexName": "ggg", "ContributorInsightsMode": THROTTLED}]
    }
    update(engine, "DISABLE")
    [left] = engine.execute("ListContributorInsights", {})["ContributorInsightsSummaries"]
    assert left["IndexName"] == "ggg"
    assert engine.execute("ListContributorInsights", {"TableName": "another"}) == {"ContributorInsightsSummaries": []}
    text = refusal(engine, "ListContributorInsights", {"TableName": "absent"}, "ResourceNotFoundException")
    assert text == "Requested resource not found: Table: absent not found"
    assert "nextToken is invalid" in refusal(engine, "ListContributorInsights", {"NextToken": "x"})
