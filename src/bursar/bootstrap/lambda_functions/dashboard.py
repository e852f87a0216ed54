"""The function that answers the dashboard's endpoints: the lake and the changes since, by DuckDB.

The code is that of a server, and so are the answers. Its package has the reports, which make it large and slow to
start, so payments do not wait for it.
"""

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_clients, require_lake
from bursar.bootstrap.parts.transaction_log import sql_transaction_log
from bursar.portal.api.application import Application
from bursar.portal.api.authentication import api_gateway
from bursar.portal.api.overview_endpoints import overview_endpoints
from bursar.portal.doors.aws_lambda import LambdaDoor
from bursar.settings import Settings


async def _application(parts: Composition, metrics: EmbeddedMetrics) -> Application:
    log = sql_transaction_log(await parts.reports(), parts.fees)
    portal = await parts.portal(asks_paygov=False)
    return Application(portal, api_gateway(parts.clients), endpoints=overview_endpoints(log))


def _require(settings: Settings) -> None:
    require_clients(settings)
    require_lake(settings)


def make_handler() -> LambdaDoor:
    """Return a handler with a new instance."""
    return LambdaDoor(FunctionParts(_application, _require).instance)


handler = make_handler()
