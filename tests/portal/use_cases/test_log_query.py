"""The log's parameters have defaults and bounds, and a 400 names each wrong one."""

import pytest

from bursar.clock import from_iso_ms, iso_ms
from bursar.portal.contract.errors import InvalidRequest
from bursar.portal.use_cases.log_query import CLOCKS_APART_MAX_S, DESCRIBED, LogQuery, read_log_query
from bursar.reports.log_sorts import LOG_SORTS

NOW = from_iso_ms("2026-11-22T19:30:00.000Z")


def _names(query: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest, match="Validation error") as refused:
        read_log_query(query, NOW)
    return [("".join(p["path"]), p["code"]) for p in refused.value.errors]


def test_by_default_the_courts_today_newest_first() -> None:
    assert read_log_query("", NOW) == LogQuery(
        since=from_iso_ms("2026-11-22T05:00:00.000Z"),
        until=from_iso_ms("2026-11-23T05:00:00.000Z"),
        status=None,
        page=1,
        page_size=50,
        sort="lastUpdatedAt",
        order="desc",
        export=False,
        include_totals=False,
    )


def test_iso_frames_are_exact_and_court_days_are_whole() -> None:
    exact = read_log_query("from=2026-11-01T00:00:00Z&to=2026-11-01T12:30:00.5-05:00", NOW)
    assert (iso_ms(exact.since), iso_ms(exact.until)) == ("2026-11-01T00:00:00.000Z", "2026-11-01T17:30:00.500Z")
    days = read_log_query("from=10%2F31%2F2026&to=11%2F01%2F2026", NOW)
    assert (iso_ms(days.since), iso_ms(days.until)) == ("2026-10-31T04:00:00.000Z", "2026-11-02T05:00:00.000Z")
    last_ms = read_log_query("from=2026-11-23T04:59:59.999Z&to=11/22/2026", NOW)
    assert last_ms.until - last_ms.since == pytest.approx(0.001, rel=0.01)
    moment = read_log_query("from=2026-11-22T05:00:00Z&to=2026-11-22T05:00:00Z", NOW)
    assert moment.since == moment.until
    lost_plus = read_log_query("from=2026-11-01T00:00:00+00:00&to=11/22/2026", NOW)
    assert iso_ms(lost_plus.since) == "2026-11-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from=11/22/2026", [("to", "required")]),
        ("to=11/22/2026", [("from", "required")]),
        ("from=11/23/2026&to=11/01/2026", [("from", "order")]),
        ("from=11/23/2026&to=11/22/2026", [("from", "order")]),
        ("from=2026-11-23T05:00:00Z&to=11/22/2026", [("from", "order")]),
        ("from=2026-11-22T05:00:00.001Z&to=2026-11-22T05:00:00Z", [("from", "order")]),
        (
            "from=11/23/2026&to=11/22/2026&page=0&order=up",
            [("page", "malformed"), ("order", "malformed"), ("from", "order")],
        ),
        ("from=2026-11-22&to=11/22/2026", [("from", "malformed")]),
        ("page=%ff&sort=%ff", [("page", "malformed"), ("sort", "malformed")]),
        ("from=2026-11-22T00:00:00&to=11/22/2026", [("from", "malformed")]),
        ("from=02/30/2026&to=11/22/2026", [("from", "malformed")]),
        ("from=1/2/2026&to=11/22/2026", [("from", "malformed")]),
        ("from=11/22/9999&to=11/22/9999", [("from", "malformed"), ("to", "malformed")]),
        ("page=0", [("page", "malformed")]),
        ("page=-1", [("page", "malformed")]),
        ("page=1.5", [("page", "malformed")]),
        ("page=%C2%B2", [("page", "malformed")]),
        ("page=99999999999999999999", [("page", "malformed")]),
        ("pageSize=201", [("pageSize", "maximum")]),
        ("pageSize=5001&export=true", [("pageSize", "malformed")]),
        ("status=paid", [("status", "malformed")]),
        ("status=", [("status", "malformed")]),
        ("sort=token", [("sort", "malformed")]),
        ("order=up", [("order", "malformed")]),
        ("export=1", [("export", "malformed")]),
        ("page=1&page=1", [("page", "repeated")]),
        ("from=", [("from", "malformed"), ("to", "required")]),
        ("asOf=2026-11-22T21:30:00.001Z", [("asOf", "maximum")]),
        ("asOf=11/22/2026", [("asOf", "malformed")]),
        ("asOf=2026-11-22T19:30:00", [("asOf", "malformed")]),
        ("asOf=", [("asOf", "malformed")]),
        ("page=0&order=up&x=1", [("page", "malformed"), ("order", "malformed")]),
        ("&".join(f"a{n}=1" for n in range(60)), [("", "malformed")]),
    ],
)
def test_each_wrong_parameter_is_named(query: str, names: list[tuple[str, str]]) -> None:
    assert _names(query) == names


@pytest.mark.parametrize(
    "query", ["pageSize=200", "pageSize=5000&export=true", *(f"sort={sort}" for sort in LOG_SORTS)]
)
def test_valid_moments_are_read(query: str) -> None:
    read_log_query(query, NOW)


def test_an_instant_gives_its_state_and_by_default_its_day() -> None:
    query = read_log_query("asOf=2026-11-21T23:59:59.999-05:00", NOW)
    assert query.as_of is not None
    assert iso_ms(query.as_of) == "2026-11-22T04:59:59.999Z"
    assert (iso_ms(query.since), iso_ms(query.until)) == ("2026-11-21T05:00:00.000Z", "2026-11-22T05:00:00.000Z")
    assert read_log_query("asOf=2026-11-22T21:30:00Z", NOW).as_of == NOW + CLOCKS_APART_MAX_S


@pytest.mark.parametrize("query", ["from=&to=", "from=&to=11/22/2026", "from=11/22/2026&to="])
def test_an_empty_frame_is_todays(query: str) -> None:
    assert read_log_query(query, NOW) == read_log_query("", NOW)


@pytest.mark.parametrize("query", ["stauts=failed", "_=1795375800&_=2", "%ff=1", "x="])
def test_unknown_parameters_are_ignored(query: str) -> None:
    assert read_log_query(query, NOW) == read_log_query("", NOW)


def test_every_parameter_is_described() -> None:
    query = "&".join(f"{name}=?" for name in DESCRIBED)
    assert {name for name, _ in _names(query)} == set(DESCRIBED)
