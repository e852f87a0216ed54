"""The command ``bursar user``: add, list, change and remove the people that may sign in to the dashboard."""

import sys
from typing import Final

import click

from bursar.bootstrap.commands import refuse, settings_from
from bursar.bootstrap.parts.accounts import accounts_of
from bursar.dashboard.sign_in.accounts import Account, AccountsError, AccountsFile, check_account, with_password
from bursar.dashboard.sign_in.roles import ROLES, role_named
from bursar.startup import CannotStart

NO_LIMIT: Final = "all"
_roles = click.option(
    "--role", "roles", multiple=True, required=True, type=click.Choice(ROLES), help="A role; may be repeated."
)
_client = click.option(
    "--client", "clients", multiple=True, metavar="NAME", help="Sees only this client; may be repeated."
)
_fee = click.option("--fee", "fees", multiple=True, metavar="KEY", help="Sees only this fee; may be repeated.")


@click.group()
def user() -> None:
    """Manage the people that may sign in to the dashboard.

    The accounts are in one file (BURSAR_ACCOUNTS, `accounts.json` in the data folder). A running dashboard reads it
    again when it has changed.
    """


@user.command()
@click.argument("name")
@_roles
@_client
@_fee
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
def add(
    name: str, roles: tuple[str, ...], clients: tuple[str, ...], fees: tuple[str, ...], password_stdin: bool
) -> None:
    """Add the person NAME, or change the password, roles and limits of an existing person.

    The person's sessions end.
    """
    account = Account(name, frozenset(map(role_named, roles)), "", _limit(clients), _limit(fees))
    accounts = _accounts()
    try:
        check_account(account)
        password = sys.stdin.readline().rstrip("\n") if password_stdin else _asked_password()
        accounts.save(with_password(account, password))
    except (AccountsError, OSError) as error:
        refuse(str(error))
    click.echo(f"{name} may sign in as {', '.join(sorted(roles))}.")


@user.command(name="list")
def list_people() -> None:
    """List the people, their roles, and the clients and fees that they may see."""
    people = _accounts().all()
    for each in people:
        limits = f"clients {_limit_text(each.clients)}  fees {_limit_text(each.fees)}"
        click.echo(f"{each.name:<24} {', '.join(sorted(each.roles)):<32} {limits}")
    if not people:
        click.echo("There is no account.")


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove the person NAME. The person's sessions end."""
    try:
        _accounts().remove(name)
    except (AccountsError, OSError) as error:
        refuse(str(error))
    click.echo(f"{name} is removed.")


@user.command()
@click.argument("name")
@_roles
def role(name: str, roles: tuple[str, ...]) -> None:
    """Replace the roles of the person NAME. The new roles take effect at once, also in open sessions."""
    accounts = _accounts()
    known = accounts.named(name)
    if known is None:
        refuse(f"account: must exist; got {name!r}")
    try:
        changed = Account(name, frozenset(map(role_named, roles)), known.password_hash, known.clients, known.fees)
        accounts.save(changed)
    except (AccountsError, OSError) as error:
        refuse(str(error))
    click.echo(f"{name} has the roles {', '.join(sorted(roles))}.")


@user.command()
@click.argument("name")
def forget(name: str) -> None:
    """Forget which person of the OpenID Connect provider has NAME, so that another person may have it.

    The sessions of NAME end.
    """
    from bursar.bootstrap.parts.dashboard import open_state
    from bursar.dashboard.sign_in.provider.people import ProviderPeople

    try:
        known = ProviderPeople(open_state(settings_from({}))).forget(name)
    except CannotStart as error:
        refuse(str(error))
    if not known:
        refuse(f"name: must be of a person that has signed in through the provider; got {name!r}")
    click.echo(f"{name} is forgotten.")


def _accounts() -> AccountsFile:
    try:
        return accounts_of(settings_from({}))
    except CannotStart as error:
        refuse(str(error))


def _asked_password() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _limit(names: tuple[str, ...]) -> frozenset[str] | None:
    return frozenset(names) if names else None


def _limit_text(names: frozenset[str] | None) -> str:
    return NO_LIMIT if names is None else ", ".join(sorted(names))
