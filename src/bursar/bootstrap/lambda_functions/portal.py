"""The function behind API Gateway: one call of the portal per event."""

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_clients
from bursar.portal.api.application import Application
from bursar.portal.api.authentication import api_gateway
from bursar.portal.doors.aws_lambda import LambdaDoor


async def _application(parts: Composition, metrics: EmbeddedMetrics) -> Application:
    """Return the application with the endpoints of payments. API Gateway limits the clients."""
    return Application(await parts.portal(), api_gateway(parts.clients))


def make_handler() -> LambdaDoor:
    """Return a handler with a new instance."""
    return LambdaDoor(FunctionParts(_application, require_clients).instance)


handler = make_handler()
