"""The payments store in a storm, as a portal on Amazon's meets it: through the remote store's retries.

    STORM_SEED=1 pytest tests/portal/use_cases

runs each test of the use cases once, on the write path ``transaction`` and in that storm (`make nightly`, step
``weather``).
"""

import dataclasses
import os
import random
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bursar.clock import Clock
from bursar.dynamo.clients.remote_store import RemoteStore
from bursar.dynamo.core.guards import GuardLoader
from bursar.dynamo.weather.engine import WeatherEngine
from bursar.dynamo.weather.event_loop import AsyncWeatherEngine
from bursar.dynamo.weather.settings import STORM, Weather

STORM_SEED: Final = os.environ.get("STORM_SEED")
PORTAL_STORM: Final = dataclasses.replace(
    STORM, transaction_conflict_share=0.2, transaction_conflict_requests=5, stale_index_lag_ms=1_500
)
"""A portal's writes are few: in a whole storm nearly all of them would meet a conflict, one after another."""


_TIME: Final = "it needs the time to the second, and retries and slow answers take time"
_INDEX: Final = "it sweeps at once what has just changed, and the index is behind"
NEEDS_CALM: Final = {
    "test_a_second_complete_is_sent_only_if_the_token_outlives_its_answer": _TIME,
    "test_without_query_only_time_ends_an_attempt_that_was_not_completed": _TIME,
    "test_a_token_past_three_hours_fails_with_5009_and_a_new_attempt_starts": _TIME,
    "test_an_expired_token_says_how_the_payment_stands": _TIME,
    "test_a_token_past_three_hours_is_expired_once_paygov_has_no_collection_of_it": _TIME,
    "test_none_is_believed_only_after_the_grace_of_the_token": _TIME,
    "test_changing_words_do_not_restart_the_age_of_a_settling_payment": _TIME,
    "test_a_lease_that_ends_far_in_the_future_is_listed": _TIME,
    "test_without_a_lookup_the_call_ends_at_once": _TIME,
    "test_a_lookup_without_an_answer_keeps_no_caller_past_the_deadline": _TIME,
    "test_the_first_sweep_asks_about_every_live_attempt": _INDEX,
    "test_a_sweep_waits_while_paygov_cannot_be_asked": _INDEX,
    "test_a_listed_charge_is_recorded_after_a_death_in_the_middle": _INDEX,
    "test_what_was_asked_after_one_restore_is_asked_again_after_the_next": _INDEX,
    "test_an_operator_cannot_clear_the_mark_before_the_sweeper_was_there": _INDEX,
    "test_a_process_that_is_killed_while_it_asks_leaves_the_charge_to_the_sweeper": _INDEX,
}
"""The tests of the use cases that cannot run in a storm, each with its reason."""


class StormStore(AsyncWeatherEngine):
    """An engine in a storm, called by a :class:`RemoteStore` as if a network were between them."""

    def __init__(self, engine: WeatherEngine, randomness: random.Random) -> None:
        super().__init__(engine)
        self.endpoints = ("http://storm.invalid/", "http://storm.invalid/")
        sender: Any = self
        self._remote = RemoteStore(sender, randomness)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request, with the remote store's retries and its classes of errors."""
        return await self._remote.call(operation, request)

    async def exchange(self, operation: str, body: bytes) -> dict[str, Any]:
        """Carry out one request in the storm, once."""
        answer: dict[str, Any] = orjson.loads(await self.call_bytes(operation, orjson.loads(body)))
        return answer


def open_storm(
    path: str, *, clock: Clock, randomness: random.Random, guard_loader: GuardLoader, seed: int
) -> StormStore:
    """Open the store at ``path`` in a storm."""
    weather = Weather("storm of the portal", seed, PORTAL_STORM)
    engine = WeatherEngine.open(path, clock=clock, randomness=randomness, guard_loader=guard_loader, weather=weather)
    return StormStore(engine, randomness)
