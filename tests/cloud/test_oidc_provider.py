"""Sign in and out in a real browser, at a certified OpenID Connect provider that runs on this machine.

`make test-cloud` runs this; it needs node and .tools/oidc (tools/install-oidc-provider).
"""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from bursar.clock import system_clock
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.provider.config import ProviderConfig
from bursar.dashboard.sign_in.provider.provider import IdentityProvider
from bursar.dashboard.sign_in.roles import ROLES
from tests.support.browser import NEEDS_BROWSER, open_browser
from tests.support.dashboard.office import Office
from tests.support.dashboard.served import served

HOME: Final = Path(__file__).parents[2] / ".tools" / "oidc"
PROGRAM: Final = Path(__file__).parents[1] / "support" / "dashboard" / "oidc_provider.mjs"
STARTS_WITHIN_MS: Final = 120_000
NODE: Final = shutil.which("node")

pytestmark = [
    *NEEDS_BROWSER,
    pytest.mark.skipif(
        NODE is None or not (HOME / "node_modules" / "oidc-provider").exists(),
        reason="make test-cloud installs oidc-provider; it needs node and npm",
    ),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def running_provider(port: int, origin: str) -> Iterator[None]:
    process = subprocess.Popen(
        [str(NODE), str(PROGRAM), str(HOME), str(port), origin],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "ready":
                break
        yield
    finally:
        process.kill()
        process.wait(120)
        if process.stdout is not None:
            process.stdout.close()


def sign_in(page: Page, name: str) -> None:
    """Sign in at the provider, and agree to what the dashboard asks for."""
    page.get_by_role("link", name=re.compile("Sign in with 127.0.0.1")).click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("anything")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()


def test_a_person_signs_in_at_a_real_provider_and_out_of_both_from_either_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    issuer_port = free_port()

    async def prepare(office: Office) -> dict[str, Any]:
        config = ProviderConfig(
            issuer=f"http://127.0.0.1:{issuer_port}", client_id="bursar",
            client_secret="a secret of this test alone", scopes="openid email roles",
            redirect_uri=f"{office.served_at}/dashboard/sign-in/callback",
            signed_out_uri=f"{office.served_at}/dashboard/sign-in", roles={role: role for role in ROLES},
        )  # fmt: skip
        return {"provider": IdentityProvider(config, system_clock), "own_url": office.served_at}

    with (
        served(tmp_path, Account("somebody", frozenset({"viewer"})), prepare) as running,
        running_provider(issuer_port, running.url),
        open_browser() as browser,
    ):
        context = browser.new_context(base_url=running.url)
        context.set_default_timeout(STARTS_WITHIN_MS)
        page = context.new_page()
        page.goto("/dashboard/transactions?status=failed")
        sign_in(page, "auditor.ada")
        expect(page).to_have_url(f"{running.url}/dashboard/transactions?status=failed")
        expect(page.locator("header")).to_contain_text("auditor.ada@example.gov")
        page.goto("/dashboard/access-log")
        expect(page.locator("main")).to_contain_text("auditor.ada@example.gov")

        page.locator("header details.menu summary").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url(re.compile(f":{issuer_port}/session/end"))
        page.get_by_role("button", name=re.compile("sign me out", re.IGNORECASE)).click()
        expect(page).to_have_url(f"{running.url}/dashboard/sign-in")

        page.goto("/dashboard/access-log")
        sign_in(page, "nobody.eve")
        expect(page.get_by_role("heading", level=1)).to_have_text("You have no role here")
        page.goto("/dashboard/access-log")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        context.close()

        context = browser.new_context(base_url=running.url)
        context.set_default_timeout(STARTS_WITHIN_MS)
        page = context.new_page()
        page.goto("/dashboard/access-log")
        sign_in(page, "auditor.bob")
        expect(page.locator("header")).to_contain_text("auditor.bob@example.gov")
        page.goto(f"http://127.0.0.1:{issuer_port}/session/end")
        page.get_by_role("button", name=re.compile("sign me out", re.IGNORECASE)).click()
        expect(page.locator("body")).to_contain_text("Sign-out Success")
        page.goto("/dashboard/access-log")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        [ended] = running.office.visitor_log("signed_out_by_provider")[-1:]
        assert (ended.target, ended.detail["sessions"]) == ("auditor.bob@example.gov", 1)
        context.close()
