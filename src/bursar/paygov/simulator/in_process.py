"""A transport to a simulator in the same process, without sockets or threads: for tests and simulations.

Time passes only in ``asyncio.sleep``, so under a virtual-time event loop a thousand lost replies take no real time. As
over a real network, a request that reached the simulator is carried out even if its caller has stopped waiting.
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from bursar.paygov.errors import Lost, NotSent, TimedOut
from bursar.paygov.protocol import (
    BEARER_HEADER,
    ONLINE_OPERATIONS,
    ONLINE_PATH,
    QUERY_OPERATIONS,
    QUERY_PATH,
    SoapOperation,
)
from bursar.paygov.simulator.answers import SoapService
from bursar.paygov.simulator.core import Simulator
from bursar.paygov.simulator.misbehaviour import MisbehaviourPlan
from bursar.paygov.simulator.wire import Ending, RequestReader, SimulatorAnswer, read_request
from bursar.paygov.transport import HttpReply

SERVICES: Final[Mapping[str, Mapping[str, SoapOperation]]] = {
    ONLINE_PATH: ONLINE_OPERATIONS,
    QUERY_PATH: QUERY_OPERATIONS,
}


class SimulatorTransport:
    """A :class:`~bursar.paygov.transport.Transport`. It uses only the paths of URLs.

    plan: the misbehaviours. latency_s: the least and the most seconds that a request takes to arrive, and a reply to
    return. Each is uniformly random, from the simulator's randomness. read: see
    :class:`~bursar.paygov.simulator.answers.SoapService`.
    """

    def __init__(
        self,
        simulator: Simulator,
        plan: MisbehaviourPlan | None = None,
        *,
        latency_s: tuple[float, float] = (0.0, 0.0),
        read: RequestReader = read_request,
    ) -> None:
        self._simulator = simulator
        self.plan = plan if plan is not None else MisbehaviourPlan(simulator.randomness)
        self._service = SoapService(simulator, self.plan, read)
        self._latency_s = latency_s
        self._under_way: set[asyncio.Task[SimulatorAnswer]] = set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Post once. Raises TimedOut ``timeout_s`` after a dropped reply, Lost for a reset or cut one, and NotSent."""
        work = asyncio.get_running_loop().create_task(self._serve(url, body, headers))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await asyncio.shield(work)
                if answer.ending is Ending.REFUSED:
                    raise NotSent("the connection was refused")
                if answer.ending is Ending.DROPPED:
                    await asyncio.Event().wait()
                if answer.ending is Ending.DRIPPED:
                    await asyncio.sleep(answer.drip_s)
                await self._delay()
        except TimeoutError:
            raise TimedOut(f"no whole reply within {timeout_s:g} s") from None
        if answer.ending in (Ending.RESET, Ending.CUT):
            raise Lost(f"the reply was lost: {answer.ending.value}")
        return HttpReply(answer.status, {"content-type": answer.content_type}, answer.body)

    async def close(self) -> None:
        """Wait for the requests that are still being carried out."""
        await asyncio.gather(*self._under_way)

    async def _serve(self, url: str, body: bytes, headers: Mapping[str, str]) -> SimulatorAnswer:
        await self._delay()
        operations = SERVICES.get(urlsplit(url).path)
        if operations is None:
            return SimulatorAnswer(404, "text/plain; charset=utf-8", b"Not found\n")
        return await self._service.answer(
            operations, body, headers.get("Content-Type", ""), headers.get(BEARER_HEADER, "")
        )

    async def _delay(self) -> None:
        shortest, longest = self._latency_s
        # Other tasks run even during a request without latency, as with any network.
        await asyncio.sleep(self._simulator.randomness.uniform(shortest, longest) if longest > 0 else 0)
