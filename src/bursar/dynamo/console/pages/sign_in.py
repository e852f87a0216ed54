"""Sign in with an access key of `--credentials`, and sign out."""

from starlette.responses import Response

from bursar.dynamo.console.visit import ConsoleVisit, PageRefused


async def sign_in_page(visit: ConsoleVisit) -> Response:
    """Show the form."""
    return visit.page("sign_in.html", problem="")


async def sign_in(visit: ConsoleVisit) -> Response:
    """Begin a session of the access key in the form, if its secret is right."""
    sessions = visit.site.sessions
    if sessions is None:
        return visit.redirect("/")
    if sessions.must_wait():
        raise PageRefused(429, "Too many sign-ins have failed", "Try again in a minute.")
    token = sessions.begin(visit.form.get("access_key", "").strip(), visit.form.get("secret", ""))
    if token is None:
        return visit.page(
            "sign_in.html", http_status=403, problem="The access key and the secret do not belong together."
        )
    visit.new_cookie = token
    return visit.redirect("/")


async def sign_out(visit: ConsoleVisit) -> Response:
    """End the session."""
    if visit.site.sessions is not None:
        visit.site.sessions.end(visit.cookie)
    visit.begin_forms()
    return visit.redirect("/")
