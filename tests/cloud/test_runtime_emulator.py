"""The packaged functions under AWS's emulator of Lambda's runtime: a payment, a scheduled sweep, a restart.

Each function has the policy of its role, as the template has it. ``make test-cloud`` runs this; tools/install-cloud
installs the emulator.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.bootstrap.backend import Backend, Guarded, secret_of
from tests.support.bootstrap.function_calls import CLIENTS
from tests.support.deploy.emulator import Function, emulated, unpacked, why_absent
from tests.support.deploy.ministack import eventually
from tests.support.deploy.template import Template

ROLES: Final = {"portal": "PortalRole", "sweep": "SweepRole"}
"""Function → the role that the template gives it."""

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


class Deployment:
    """The package, the store behind access keys, and what the functions find in their environment."""

    def __init__(self, task: Path, folder: Path, guarded: Guarded, backend: Backend) -> None:
        self._task, self._folder, self._guarded, self._backend = task, folder, guarded, backend

    def start(self, stack: ExitStack, name: str) -> Function:
        """Start the function with this name until ``stack`` ends."""
        variables = {
            "AWS_ACCESS_KEY_ID": name,
            "AWS_SECRET_ACCESS_KEY": secret_of(name),
            "BURSAR_STORE": self._guarded.url,
            "BURSAR_CLIENTS": str(self._folder / "clients.toml"),
            "BURSAR_PAYGOV_URL": self._backend.paygov.url,
            "BURSAR_PAYMENT_URL": self._backend.paygov.payment_url,
        }
        handler = f"bursar.bootstrap.lambda_functions.{name}.handler"
        return stack.enter_context(emulated(self._task, handler, variables, self._folder))


@pytest.fixture(scope="module")
def deployment(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "clients.toml").write_text(CLIENTS)
    template = Template()
    policies: dict[str, Any] = {}
    for name, role in ROLES.items():
        allowed = [each for each in template.statements(role) if "dynamodb:" in str(each["Action"])]
        policies[name] = {"Version": "2012-10-17", "Statement": allowed}
    with backend.guarded(folder, policies) as guarded:
        yield Deployment(unpacked(folder), folder, guarded, backend)
        assert guarded.refusals == []


def test_a_payment_by_events_of_the_http_api(deployment: Deployment, backend: Backend) -> None:
    with ExitStack() as stack:
        portal = deployment.start(stack, "portal")
        reference, token = portal.begin()
        backend.simulator.pay(token, "PLASTIC_CARD", "Success")
        status, answer = portal.ask("POST", "/process", {"token": token})
        assert (status, answer["paymentStatus"]) == (200, "success")
        assert portal.ask("POST", "/process", {"token": token})[0] != 200
        assert portal.ask("GET", f"/details/{reference}") == (200, answer)
        assert portal.ask("GET", f"/details/{reference}", arn="arn:aws:iam::123456789012:role/other")[0] == 403
        assert portal.ask("GET", "/health")[0] == 200
    books = backend.simulator.books
    entry = books.entry(token)
    assert entry is not None
    assert len(books.charges(entry.agency_tracking_id)) == 1


def test_a_scheduled_sweep_settles_a_debit_that_another_instance_has_begun(
    deployment: Deployment, backend: Backend
) -> None:
    with ExitStack() as stack:
        portal = deployment.start(stack, "portal")
        reference, token = portal.begin()
        backend.simulator.pay(token, "ACH", "Success")
        assert portal.ask("POST", "/process", {"token": token})[1]["paymentStatus"] == "pending"
    with ExitStack() as stack:
        sweep = deployment.start(stack, "sweep")
        assert eventually(lambda: sweep({})["results"].get("settled"))
        portal = deployment.start(stack, "portal")
        assert portal.ask("GET", f"/details/{reference}")[1]["paymentStatus"] == "success"
        events = portal.ask("GET", f"/details/{reference}/events")[1]["events"]
    assert ("settled", "sweeper") in {(event["name"], event["actor"]) for event in events}
