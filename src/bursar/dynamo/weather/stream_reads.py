"""Stream records with weather: they can be read only after a delay, and parts of a page are delivered again.

The order of a shard is kept: a repeated part begins at an earlier record and continues from there, as after a consumer
that had to repeat a batch. So each record is delivered at least once, and those of an item in their order.
"""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.operations.data_plane.streams import RECORDS_MAX, ShardIterator
from bursar.dynamo.storage.change_streams import Stream
from bursar.dynamo.weather.conditions import CalmRun, Conditions

REPEAT, DELAY = "stream_repeat", "stream_delay"


class StreamReads:
    """GetRecords of one store."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def records(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return records that are old enough, and an iterator that may begin before their end."""
        response = run(core, request)
        iterator = ShardIterator.read(request["ShardIterator"])
        stream = next(stream for stream in core.streams.all() if stream.arn == iterator.arn)
        name = str(stream.document["TableName"])
        weather = self._conditions.weather.of(name)
        chances = self._conditions.chances
        if weather.stream_delay_ms and response["Records"]:
            room = self._readable(core, stream, weather.stream_delay_ms) - iterator.position
            if room < len(response["Records"]):
                chances.count(name, DELAY)
                if room <= 0:
                    again = ShardIterator(iterator.arn, iterator.shard, iterator.position, core.clock())
                    return {"Records": [], "NextShardIterator": again.text()}
                response = run(core, {**request, "Limit": min(room, request.get("Limit") or RECORDS_MAX)})
        records = len(response["Records"])
        if records and chances.happens(name, REPEAT, weather.stream_repeat_share):
            kept = chances.sequence(name, REPEAT).randrange(records)
            again = ShardIterator(iterator.arn, iterator.shard, iterator.position + kept, core.clock())
            chances.count(name, REPEAT, records - kept)
            return {**response, "NextShardIterator": again.text()}
        return response

    def _readable(self, core: Core, stream: Stream, delay_ms: int) -> int:
        """Return the first sequence number of a stream that cannot be read yet."""
        return core.streams.first_since(stream.id, core.clock() - delay_ms / 1000)
