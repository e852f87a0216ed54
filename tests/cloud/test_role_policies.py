"""The roles of the template do their work under their policies, and cannot do it without any one of their actions."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.bootstrap.backend import Backend, Guarded, secret_of
from tests.support.bootstrap.moto_aws import MotoAws
from tests.support.deploy.role_work import (
    Statements,
    allowed_actions,
    prepare_sweep,
    without,
    work_of_the_dashboard,
    work_of_the_lake,
    work_of_the_portal,
    work_of_the_sweep,
)
from tests.support.deploy.template import Template

Work = Callable[[Backend], None]
WORK: Final[dict[str, Work]] = {
    "PortalRole": work_of_the_portal,
    "SweepRole": work_of_the_sweep,
    "LakeRole": work_of_the_lake,
    "DashboardRole": work_of_the_dashboard,
}
STATEMENTS: Final[dict[str, Statements]] = {role: Template().statements(role) for role in WORK}
ACTIONS: Final = [
    (role, *each)
    for role, statements in STATEMENTS.items()
    for each in allowed_actions(statements)
    # Both have one policy. The sweeper checks a parent only after a restore, and the portal reads nothing that is due.
    if (role, each[1]) not in {("SweepRole", "dynamodb:ConditionCheckItem"), ("PortalRole", "dynamodb:BatchGetItem")}
]
NUMBERS: Final = itertools.count()


def run(
    role: str, statements: Statements, backend: Backend, aws: MotoAws, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Guarded, Exception | None]:
    """Do the work of a role under ``statements``. Return the server, and the error that ended the work, if any."""
    monkeypatch.setenv("BURSAR_STORE", backend.store_url)
    if role == "SweepRole":
        prepare_sweep(backend)
    elif role != "PortalRole":
        work_of_the_portal(backend)  # a lake of no payments has no files
    monkeypatch.setenv("BURSAR_LAKE", aws.lake_url(f"lake-{next(NUMBERS)}"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_of("role"))
    dynamodb = [each for each in statements if str(each["Action"]).find("dynamodb:") >= 0]
    with backend.guarded(folder, {"role": {"Version": "2012-10-17", "Statement": dynamodb}}) as guarded:
        monkeypatch.setenv("BURSAR_STORE", guarded.url)
        try:
            WORK[role](backend)
        except Exception as error:
            return guarded, error
    return guarded, None


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("role", WORK)
def test_a_role_is_allowed_all_that_its_function_does(
    role: str, backend: Backend, aws: MotoAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded, error = run(role, STATEMENTS[role], backend, aws, tmp_path, monkeypatch)
    assert (guarded.refusals, error) == ([], None)


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(("role", "sid", "action"), ACTIONS)
def test_a_role_needs_each_of_its_actions(
    role: str,
    sid: str,
    action: str,
    backend: Backend,
    aws: MotoAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guarded, error = run(role, without(STATEMENTS[role], sid, action), backend, aws, tmp_path, monkeypatch)
    assert error is not None, f"{role} works without {action} of {sid}"
    assert {refusal.partition("perform: ")[2].partition(" on ")[0] for refusal in guarded.refusals} == {action}


@pytest.mark.usefixtures("functions")
def test_the_lakes_role_has_exactly_the_actions_on_s3_and_glue_that_it_uses(
    backend: Backend, aws: MotoAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A lake of more commits than the vacuum and the metadata log keep deletes files too.
    monkeypatch.setattr("bursar.reports.lake.vacuum.SNAPSHOTS_MAX", 0)
    monkeypatch.setattr("bursar.reports.lake.vacuum.READER_GRACE_S", -3600.0)
    for _ in range(2):  # the files of the first run are deleted by the second
        _, error = run("LakeRole", STATEMENTS["LakeRole"], backend, aws, tmp_path, monkeypatch)
        assert error is None
    assert set(aws.actions) == actions_of("LakeRole", "s3", "glue")


@pytest.mark.usefixtures("functions")
def test_the_dashboards_role_has_exactly_the_actions_on_s3_and_glue_that_it_uses(
    backend: Backend, aws: MotoAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("LakeRole", STATEMENTS["LakeRole"], backend, aws, tmp_path, monkeypatch)
    lake = aws.lake_url(f"lake-{next(NUMBERS) - 1}")
    aws.actions.clear()
    monkeypatch.setenv("BURSAR_STORE", backend.store_url)
    monkeypatch.setenv("BURSAR_LAKE", lake)
    work_of_the_dashboard(backend)
    assert set(aws.actions) == actions_of("DashboardRole", "s3", "glue")


def actions_of(role: str, *services: str) -> set[Any]:
    return {action for service in services for _, action in allowed_actions(STATEMENTS[role], service)}
