"""Every code of the catalogue reaches a caller, with a status of its row and where OpenAPI documents it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError, StoreOutcomeUnknown
from bursar.paygov.errors import ArgumentRefused
from bursar.payments.attempt_ids import ATTEMPTS_MAX
from bursar.payments.catalogue.clients import Client
from bursar.payments.catalogue.fees import DEFAULT_FEES, FeeCatalogue
from bursar.payments.reversals import ReversalReport
from bursar.portal.api.all_endpoints import all_endpoints
from bursar.portal.api.application import Application
from bursar.portal.api.authentication import Authenticate, api_gateway, sigv4, without_signatures
from bursar.portal.api.endpoints import Routes
from bursar.portal.api.openapi import errors_by_status
from bursar.portal.contract.error_catalogue import CATALOGUE
from bursar.portal.contract.errors import PortalError
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.doors.asgi import PortalApp, portal_app
from bursar.portal.doors.aws_lambda import handle_event
from bursar.portal.upkeep.attention import resolve
from bursar.portal.upkeep.reversals import reverse
from bursar.reports.errors import BadSql, LakeBroken, LakeBusy, QueryTooLong
from bursar.reports.port import Answers
from bursar.rules.errors import RuleRefused
from bursar.web.refusals import RefusalReason
from tests.support.portal.asgi import Answer, ask
from tests.support.portal.fake_log import FakeLog
from tests.support.portal.fake_reports import EmptyReports, FailingReports
from tests.support.portal.stage import DAWSON, EXAMS, HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath

ROUTES = Routes(all_endpoints(FakeLog(), reports=EmptyReports()))
ASKS = replace(DAWSON, sql=True, reports=True)
DOCKET = {"docketNumber": "123-26"}
COPY = {"copyRequestId": "c-1", "numberOfPages": 3}
Case = Callable[["Door"], Awaitable[Answer]]


class Door:
    """One portal behind an ASGI door, with the calls that the cases below share."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.log = FakeLog()
        self.asked: list[tuple[str, str]] = []

    def app(self, authenticate: Authenticate | None = None, **more: Any) -> PortalApp:
        known = authenticate or without_signatures(DAWSON, listens_on=["127.0.0.1"])
        return portal_app(self.stage.portal, known, log=self.log, **more)

    async def ask(self, method: str, target: str, body: Any = None, *, app: PortalApp | None = None, **how: Any) -> Any:
        self.asked.append((method, target))
        return await ask(app or self.app(), method, target, body, **how)

    def body(self, **changes: Any) -> dict[str, Any]:
        return {
            "transactionReferenceId": self.stage.reference(),
            "fee": "PETITION_FILING_FEE",
            "urlSuccess": "https://client.example/success",
            "urlCancel": "https://client.example/cancel",
            "metadata": DOCKET,
            **changes,
        }

    async def init(self, **changes: Any) -> Answer:
        answer: Answer = await self.ask("POST", "/init", self.body(**changes))
        return answer

    async def process(self, token: str) -> Answer:
        answer: Answer = await self.ask("POST", "/process", {"token": token})
        return answer

    async def paid(self, method: str = "PLASTIC_CARD", outcome: str = "Success") -> tuple[str, str]:
        """Return the token and the reference of a payment that the payer has made and that is not processed."""
        token = await self.stage.paid(method, outcome)
        return token, (await self.stage.attempt(token)).reference

    async def lambda_answer(self, event: Any) -> Answer:
        application = Application(self.stage.portal, api_gateway(self.stage.clients))
        reply = await handle_event(application, event)
        return Answer(reply["statusCode"], reply["headers"], reply["body"].encode())

    def failing(self, error: Exception) -> None:
        """Let every read of an obligation end in ``error``."""

        async def obligation(*_args: Any, **_more: Any) -> Any:
            raise error

        self.stage.portal.ledger = SimpleNamespace(obligation=obligation)  # type: ignore[assignment]  # a stand-in

    async def details(self) -> Answer:
        answer: Answer = await self.ask("GET", f"/details/{self.stage.reference()}")
        return answer

    def refused(self, reason: RefusalReason) -> Answer:
        reply = self.app().refuse(reason, None)
        return Answer(_STATUS_OF[reason], {}, reply.body)


# The status that the server writes for a refusal before a request is read.
_STATUS_OF = {RefusalReason.NOT_HTTP: 400, RefusalReason.TOO_SLOW: 408, RefusalReason.TOO_BUSY: 503}
CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    def add(play: Case) -> Case:
        CASES[code] = play
        return play

    return add


CASES |= {
    "invalid_request": lambda door: door.ask("GET", "/details/not-a-uuid/events"),
    "missing_body": lambda door: door.ask("POST", "/init"),
    "invalid_json": lambda door: door.ask("POST", "/process", b"{"),
    "amount_not_allowed": lambda door: door.init(amount=60),
    "amount_required": lambda door: door.init(fee="COPY_FEE", metadata=COPY),
    "signature_refused": lambda door: door.ask(
        "POST", "/init", {}, app=door.app(sigv4(door.stage.clients, clock=door.stage.loop.clock))
    ),
    "missing_principal": lambda door: door.lambda_answer({"httpMethod": "POST", "path": "/init", "body": "{}"}),
    "not_this_machine": lambda door: door.ask("GET", "/transactions", headers={"Origin": "https://evil.example"}),
    "not_authorized_for_overview": lambda door: door.ask("GET", "/transactions"),
    "route_not_found": lambda door: ask(door.app(), "GET", "/nowhere"),
    "token_not_found": lambda door: door.process("0" * 32),
    "reference_not_found": lambda door: door.details(),
    "method_not_allowed": lambda door: ask(door.app(), "DELETE", "/init"),
    "origin_not_allowed": lambda door: ask(
        door.app(cors_origins=["https://dashboard.example"]),
        "OPTIONS",
        "/transactions",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
    ),
    "body_too_large": lambda door: door.ask("POST", "/init", b" " * (BODY_BYTES_MAX + 1)),
    "head_too_large": lambda door: door.ask("GET", "/health", headers={f"x-{n}": "1" for n in range(101)}),
}


@case("not_accepted_by_paygov")
async def _not_accepted(door: Door) -> Answer:
    async def start(**_values: Any) -> str:
        raise ArgumentRefused("url_success: must be …")

    door.stage.portal.paygov = SimpleNamespace(start=start)  # type: ignore[assignment]  # a stand-in
    return await door.init()


@case("unreadable_request")
async def _unreadable(door: Door) -> Answer:
    assert (await door.lambda_answer([])).json["code"] == "unreadable_request"
    return door.refused(RefusalReason.NOT_HTTP)


@case("request_too_slow")
async def _too_slow(door: Door) -> Answer:
    return door.refused(RefusalReason.TOO_SLOW)


@case("too_busy")
async def _too_busy(door: Door) -> Answer:
    return door.refused(RefusalReason.TOO_BUSY)


@case("not_registered")
async def _not_registered(door: Door) -> Answer:
    async def unknown(_call: Any) -> None:
        return None

    return await door.ask("POST", "/init", {}, app=door.app(unknown))  # type: ignore[no-any-return]


@case("not_authorized_for_fee")
async def _not_authorized(door: Door) -> Answer:
    metadata = {"email": "a@client.example", "fullName": "A", "accessCode": "B"}
    fees = [key for key in door.stage.fees.keys if key not in DAWSON.fees]
    return await door.init(fee=fees[0], metadata={**DOCKET, **metadata})


@case("already_paid")
async def _already_paid(door: Door) -> Answer:
    token, reference = await door.paid()
    await door.stage.process(token)
    return await door.init(transactionReferenceId=reference)


@case("settling")
async def _settling(door: Door) -> Answer:
    token, reference = await door.paid("ACH")
    await door.stage.process(token)
    return await door.init(transactionReferenceId=reference)


@case("in_process")
async def _in_process(door: Door) -> Answer:
    token, _ = await door.paid()
    door.stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    first = asyncio.create_task(door.stage.process(token))
    await asyncio.sleep(1)
    answer = await door.process(token)
    await first
    return answer


@case("differs")
async def _differs(door: Door) -> Answer:
    body = door.body()
    await door.ask("POST", "/init", body)
    variable = door.body(fee="COPY_FEE", metadata=COPY, amount=5)
    await door.ask("POST", "/init", variable)
    assert (await door.ask("POST", "/init", {**variable, "amount": 6})).json["code"] == "differs"
    return await door.ask("POST", "/init", {**body, "metadata": {"docketNumber": "9"}})  # type: ignore[no-any-return]


@case("lost_race")
async def _lost_race(door: Door) -> Answer:
    """Let the attempt be moved at each try by another caller, who is always a moment faster."""
    token, _ = await door.paid()
    attempt = await door.stage.attempt(token)

    async def take_lease(*_args: Any) -> Any:
        from bursar.payments.errors import AttemptMoved

        raise AttemptMoved(attempt)

    ledger = door.stage.portal.ledger
    door.stage.portal.ledger = _Overriding(ledger, take_lease=take_lease)  # type: ignore[assignment]  # a stand-in
    return await door.process(token)


class _Overriding:
    """An object with some methods replaced."""

    def __init__(self, behind: Any, **methods: Any) -> None:
        self._behind = behind
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


@case("rule_refused")
async def _rule_refused(door: Door) -> Answer:
    async def start_attempt(*_args: Any) -> Any:
        raise RuleRefused("secret", rule="paid-once", item_key={}, old=None, new=None)

    ledger = door.stage.portal.ledger
    door.stage.portal.ledger = _Overriding(ledger, start_attempt=start_attempt)  # type: ignore[assignment]  # a stand-in
    return await door.init()


@case("too_many_attempts")
async def _too_many_attempts(door: Door) -> Answer:
    body = door.body()
    door.stage.misbehave("refuse", operations=("start",))
    for _ in range(ATTEMPTS_MAX):
        await door.ask("POST", "/init", body)
    return await door.ask("POST", "/init", body)  # type: ignore[no-any-return]


@case("metadata_erased")
async def _metadata_erased(door: Door) -> Answer:
    body = door.body()
    door.stage.misbehave("refuse", times=1, operations=("start",))
    await door.ask("POST", "/init", body)
    ledger, now = door.stage.ledger, door.stage.loop.clock()
    reference = body["transactionReferenceId"]
    await ledger.erasure.erase(DAWSON.name, reference, ended_before=now + 1, by="Ada", reason="a test")
    return await door.ask("POST", "/init", body)  # type: ignore[no-any-return]


@case("in_doubt_since_restore")
async def _in_doubt_since_restore(door: Door) -> Answer:
    await door.stage.restore_and_mark(door.stage.backup())
    return await door.init()


@case("token_used")
async def _token_used(door: Door) -> Answer:
    token, _ = await door.paid()
    await door.stage.process(token)
    return await door.process(token)


@case("token_expired")
async def _token_expired(door: Door) -> Answer:
    token = await door.stage.init()
    await asyncio.sleep(3 * HOUR_S + 1)
    return await door.process(token)


@case("sibling")
async def _sibling(door: Door) -> Answer:
    token, reference = await door.paid(outcome="Failed")
    await door.stage.process(token)
    await door.stage.paid(reference=reference)
    return await door.process(token)


@case("too_many_at_once")
async def _too_many_at_once(door: Door) -> Answer:
    return await _limited(door, at_once_max=1)


@case("too_many_per_second")
async def _too_many_per_second(door: Door) -> Answer:
    return await _limited(door, burst=1.0, rate_per_s=0.001)


async def _limited(door: Door, **limits: Any) -> Answer:
    from bursar.portal.api.rate_limits import ClientLimits

    app = door.app(limits=ClientLimits(door.stage.loop.clock, **limits))
    door.stage.misbehave("delay", operations=("start",), delay_s=5.0)
    first = asyncio.create_task(ask(app, "POST", "/init", door.body()))
    await asyncio.sleep(1)
    answer: Answer = await door.ask("POST", "/init", door.body(), app=app)
    await first
    return answer


@case("unexpected")
async def _unexpected(door: Door) -> Answer:
    door.failing(RuntimeError("secret"))
    return await door.details()


@case("store_unavailable")
async def _store_unavailable(door: Door) -> Answer:
    door.failing(DynamoError("ThrottlingException", "secret"))
    return await door.details()


@case("store_closed")
async def _store_closed(door: Door) -> Answer:
    door.failing(DynamoError("AccessDeniedException", f"secret {EXPLICIT_DENY}"))
    return await door.details()


@case("store_outcome_unknown")
async def _store_outcome_unknown(door: Door) -> Answer:
    door.failing(StoreOutcomeUnknown("secret"))
    return await door.details()


@case("log_unavailable")
async def _log_unavailable(door: Door) -> Answer:
    async def recent(*_args: Any) -> Any:
        raise LakeBusy("secret")

    door.log.recent = recent  # type: ignore[assignment]  # a log that is busy
    app = door.app(without_signatures(EXAMS, listens_on=["127.0.0.1"]))
    return await door.ask("GET", "/transactions", app=app)  # type: ignore[no-any-return]


@case("not_authorized_for_sql")
async def _not_authorized_for_sql(door: Door) -> Answer:
    return await _question(door, DAWSON, EmptyReports())


@case("not_authorized_for_reports")
async def _not_authorized_for_reports(door: Door) -> Answer:
    return await _question(door, DAWSON, EmptyReports(), "/reports")


@case("report_not_found")
async def _report_not_found(door: Door) -> Answer:
    return await _question(door, ASKS, EmptyReports(), "/reports/weather")


@case("bad_statement")
async def _bad_statement(door: Door) -> Answer:
    return await _question(door, ASKS, FailingReports(BadSql("no such column")))


@case("question_too_large")
async def _question_too_large(door: Door) -> Answer:
    return await _question(door, ASKS, FailingReports(QueryTooLong("30 s")))


@case("reports_unavailable")
async def _reports_unavailable(door: Door) -> Answer:
    return await _question(door, ASKS, FailingReports(LakeBroken("secret")))


async def _question(door: Door, client: Client, reports: Answers, report: str | None = None) -> Answer:
    """Ask for ``report``, or a statement, as ``client``."""
    app = door.app(without_signatures(client, listens_on=["127.0.0.1"]), reports=reports)
    method, target, body = ("POST", "/sql", {"statement": "SELECT 1"}) if report is None else ("GET", report, None)
    return await door.ask(method, target, body, app=app)  # type: ignore[no-any-return]


@case("no_token")
async def _no_token(door: Door) -> Answer:
    door.stage.misbehave("http", operations=("start",), times=1)
    assert (await door.init()).status == 502
    door.stage.misbehave("drop", operations=("start",), times=1)
    return await door.init()


@case("paygov_refused")
async def _paygov_refused(door: Door) -> Answer:
    unknown = DEFAULT_FEES.read_text().replace("TCSUSTAXCOURTPETITION", "TCSNOTKNOWN")
    door.stage.portal.fees = FeeCatalogue.parse(unknown.encode(), source="fees.toml")
    door.stage.misbehave("fault", operations=("start",), times=1)
    return await door.init()


@case("nothing_sent")
async def _nothing_sent(door: Door) -> Answer:
    token, _ = await door.paid()
    door.stage.misbehave("refuse")
    return await door.process(token)


@case("outcome_unknown")
async def _outcome_unknown(door: Door) -> Answer:
    token, _ = await door.paid()
    door.stage.misbehave("drop", operations=("complete",), times=1)
    with door.stage.collections_unseen():
        return await door.process(token)


@case("attempt_not_found")
async def _attempt_not_found(door: Door) -> Answer:
    return await _resolved(door, "b0000000000000000001")


@case("not_resolvable")
async def _not_resolvable(door: Door) -> Answer:
    return await _resolved(door, (await door.stage.attempt(await door.stage.init())).agency_tracking_id)


@case("not_reversible")
async def _not_reversible(door: Door) -> Answer:
    attempt = await door.stage.attempt(await door.stage.init())
    report = ReversalReport("returned", attempt.amount, "operator", by="Ada", reason="seen")
    return await _refused(reverse(door.stage.portal, attempt.agency_tracking_id, report))


async def _resolved(door: Door, attempt: str) -> Answer:
    return await _refused(resolve(door.stage.portal, attempt, settled_as="failed", by="Ada", reason="seen"))


async def _refused(work: Awaitable[object]) -> Answer:
    """Return the error of an operator's command as an answer: no endpoint gives it."""
    with pytest.raises(PortalError) as refused:
        await work
    return Answer(refused.value.status, {}, json.dumps(refused.value.body()).encode())


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_reaches_a_caller(code: str, write_path: WritePath) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        stage.clients = type(stage.clients)([replace(DAWSON, access_keys=()), EXAMS])
        door = Door(stage)
        answer = await CASES[code](door)
        assert (answer.json["code"], answer.status in CATALOGUE[code].statuses) == (code, True), answer.body
        assert b"secret" not in answer.body
        if door.asked:
            method, target = door.asked[-1]
            endpoint, _ = ROUTES.find(method, target)
            assert code in [each.code for each in errors_by_status(endpoint)[answer.status]]
        if answer.status == 410:
            assert {"paymentStatus", "transactions"} <= answer.json.keys()

    scene(write_path)


def test_every_case_is_of_the_catalogue() -> None:
    assert set(CASES) == set(CATALOGUE)
