"""Metrics in the log, in the form that CloudWatch reads."""

import json
from typing import Any

from bursar.bootstrap.lambda_functions.embedded_metrics import UNITS, EmbeddedMetrics


def lines_of(*reports: Any) -> list[dict[str, Any]]:
    lines: list[str] = []
    metrics = EmbeddedMetrics("prod", write=lines.append, clock=lambda: 1_796_000_000.5)
    for name, *arguments in reports:
        getattr(metrics, name)(*arguments)
    return [json.loads(line) for line in lines]


def test_a_data_point_has_the_members_of_the_specification() -> None:
    assert lines_of(("add", "WatermarkAge", 12.5)) == [
        {
            "_aws": {
                "Timestamp": 1_796_000_000_500,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Bursar",
                        "Dimensions": [["Deployment"]],
                        "Metrics": [{"Name": "WatermarkAge", "Unit": "Seconds"}],
                    }
                ],
            },
            "Deployment": "prod",
            "WatermarkAge": 12.5,
        }
    ]


def test_only_what_an_alarm_needs_is_counted() -> None:
    counted = lines_of(
        ("outcome_known", "paid"),
        ("outcome_known", "lost"),
        ("paygov_answered", "complete", "answered", 0.1),
        ("paygov_answered", "complete", "Fault", 0.1),
        ("paygov_answered", "complete", "TimedOut", 20.0),
        ("alerted", "attention"),
        ("lease_conflict",),
        ("swept", {"settled": 2, "still_open": 1}, 0.5),
    )
    found = [(name, line[name]) for line in counted for name in UNITS if name in line]
    assert found == [("UnknownOutcomes", 1), ("PayGovFailures", 1)]
