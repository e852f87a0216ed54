"""Every bound of the paygov package has its value in this table, and so has every default.

A changed bound changes what payers and operators meet, so it is changed in two places. A new one needs a row here, and
a test at its edge where it is used.
"""

from tests.support.bounds import numbers_of

KIB = 1024
HOUR_S = 3600
BOUNDS = {
    "client.URLS_KEPT_MAX": 256,
    "commands.PORT": 3_366,
    "commands.TABLE_COLUMNS": 160,
    "config.TIMEOUT_S": 20,
    "errors.DETAIL_CHARACTERS_MAX": 500,
    "probe.TOKEN_CHARACTERS_SHOWN": 4,
    "probe.POLL_S": 1,
    "probe.WAIT_S": 60,
    "protocol.TOKEN_CHARACTERS": 32,
    "protocol.TOKEN_LIFE_S": 3 * HOUR_S,
    "protocol.AGENCY_TRACKING_ID_CHARACTERS_MAX": 21,
    "protocol.PAYGOV_TRACKING_ID_CHARACTERS_MAX": 255,
    "protocol.TCS_APP_ID_CHARACTERS_MAX": 64,
    "protocol.URL_CHARACTERS_MAX": 2_048,
    "protocol.CLASSIFICATION_ID_CHARACTERS_MAX": 100,
    "safe_xml.DOCUMENT_BYTES_MAX": 256 * KIB,
    "safe_xml.DEPTH_MAX": 32,
    "safe_xml.ELEMENTS_MAX": 10_000,
    "activity_file.TICKETS": 1_000_000,
    "app.REQUEST_BYTES_MAX": 64 * KIB,
    "app.CONTROL_BYTES_MAX": 64 * KIB,
    "app.DROP_HOLD_MAX_S": 120,
    "app.BOOKS_PAGE": 1_000,
    "app.DRIP_PIECES": 40,
    "books.FORMAT": 1,
    "books.ENTRIES_MAX": 5_000_000,
    "core.ACH_SETTLE_S": 15,
    "core.PAYGOV_TRACKING_ID_BITS": 80,
    "hosted_pages.FORM_BYTES_MAX": 4 * KIB,
    "misbehaviour.DELAY_MAX_S": HOUR_S,
    "misbehaviour.PLAN_MAX": 10_000,
    "server.BACKLOG": 1_024,
    "server.GRACE_S": 2,
    "soap.FIELD_CHARACTERS_MAX": 1_000,
    "soap.HTTP_OK": 200,
    "soap.TEMPLATES_KEPT_MAX": 64,
}
"""Each number that the paygov package names."""

DEFAULTS = {
    "commands.CannotServe.exit_code": 2,
    "commands.simulator(port)": 3_366,
    "commands.simulator(ach_settle_s)": 15,
    "commands.probe(wait_s)": 60,
    "config.PayGovConfig.timeout_s": 20,
    "errors.NotSent.http_status": 504,
    "errors.ArgumentRefused.http_status": 400,
    "errors.Fault.http_status": 502,
    "errors.OutcomeUnknown.http_status": 504,
    "errors.Nonsense.http_status": 502,
    "errors.QueryUnavailable.http_status": 502,
    "http_transport.HttpTransport.__init__(connections_max)": 64,
    "probe.ProbeRequest.wait_s": 60,
    "core.SimulatorSettings.ach_settle_s": 15,
    "core.SimulatorSettings.token_life_s": 3 * HOUR_S,
    "hosted_pages.page(status)": 200,
    "misbehaviour.Misbehaviour.probability": 1,
    "misbehaviour.Misbehaviour.status": 503,
}
"""Each number that a caller may leave out."""


def test_every_bound_and_default_has_its_value() -> None:
    assert numbers_of("bursar.paygov") == BOUNDS | DEFAULTS
