"""The OpenID Connect provider from the settings: start-up names the setting that is missing or wrong, in one line."""

from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.parts.provider import people_of, provider_of
from bursar.clock import system_clock
from bursar.dashboard.sign_in.accounts import AccountsFile, NoAccounts
from bursar.settings import Settings
from bursar.startup import CannotStart

WHOLE: dict[str, Any] = {
    "sign_in": "oidc",
    "oidc_issuer": "https://login.example.gov/realms/pay",
    "oidc_client_id": "bursar",
    "dashboard_url": "https://pay.example.gov/",
}


def test_people_sign_in_with_accounts_unless_the_settings_name_a_provider(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    assert provider_of(settings, system_clock) is None
    assert isinstance(people_of(settings), AccountsFile)
    assert isinstance(people_of(Settings(**WHOLE)), NoAccounts)
    assert isinstance(people_of(Settings(**WHOLE | {"sign_in": "accounts,oidc", "data": str(tmp_path)})), AccountsFile)


def test_the_settings_make_the_provider(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("s3cret\n")
    roles = "CN=Pay Finance,OU=Groups=finance; Audit = auditor;"
    found = provider_of(Settings(**WHOLE, oidc_client_secret_file=str(secret), oidc_roles=roles), system_clock)
    assert found is not None
    config = found.config
    assert config.client_secret == "s3cret"
    assert "s3cret" not in repr(config)
    assert config.roles == {"CN=Pay Finance,OU=Groups": "finance", "Audit": "auditor"}
    assert config.redirect_uri == "https://pay.example.gov/dashboard/sign-in/callback"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sign_in": "accounts"}, "BURSAR_SIGN_IN: must name oidc, because BURSAR_OIDC_ISSUER is set"),
    ({"oidc_issuer": None}, "BURSAR_OIDC_ISSUER: must be set"),
    ({"oidc_client_id": None}, "BURSAR_OIDC_CLIENT_ID: must be set"),
    ({"dashboard_url": None}, "BURSAR_DASHBOARD_URL: must be set"),
    ({"oidc_issuer": "http://login.example.gov"}, "BURSAR_OIDC_ISSUER: must be an https URL"),
    ({"oidc_issuer": "https://login.example.gov?x=1"}, "BURSAR_OIDC_ISSUER: must be an https URL"),
    ({"oidc_scopes": "email"}, "BURSAR_OIDC_SCOPES: must have openid among the scopes; got 'email'"),
    ({"oidc_roles": "Staff"}, "BURSAR_OIDC_ROLES: must be VALUE=ROLE, separated by semicolons; got 'Staff'"),
    ({"oidc_roles": "Staff=king"}, "BURSAR_OIDC_ROLES: role: must be one of viewer, .*; got 'Staff=king'"),
    ({"oidc_roles": "A=viewer;A=auditor"}, "BURSAR_OIDC_ROLES: must name each value once; got 'A=auditor'"),
    ({"oidc_client_secret_file": "missing"}, "BURSAR_OIDC_CLIENT_SECRET_FILE: "),
    ({"oidc_client_secret_file": "missing", "oidc_client_secret": "x"}, "must be unset if .* is set; got both"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_setting_that_cannot_be_used_is_named(change: dict[str, Any], text: str) -> None:
    with pytest.raises(CannotStart, match=text):
        provider_of(Settings(**WHOLE | change), system_clock)


@pytest.mark.parametrize(("content", "mode"), [("", 0o600), ("x" * 5_000, 0o600), ("s3cret", 0o644)])
def test_a_file_that_holds_no_usable_secret_is_refused(tmp_path: Path, content: str, mode: int) -> None:
    secret = tmp_path / "secret"
    secret.write_text(content)
    secret.chmod(mode)
    with pytest.raises(CannotStart, match="BURSAR_OIDC_CLIENT_SECRET_FILE: ") as caught:
        provider_of(Settings(**WHOLE, oidc_client_secret_file=str(secret)), system_clock)
    assert "s3cret" not in str(caught.value)
