"""Open the file of the people that may sign in, from the settings."""

from pathlib import Path

from bursar.dashboard.sign_in.accounts import AccountsError, AccountsFile
from bursar.private_files import TooOpen
from bursar.settings import Settings
from bursar.startup import CannotStart


def accounts_of(settings: Settings) -> AccountsFile:
    """Return the accounts of people. Raises :class:`CannotStart`."""
    try:
        return AccountsFile(Path(settings.accounts_path))
    except (AccountsError, TooOpen, OSError) as error:
        raise CannotStart(f"BURSAR_ACCOUNTS: {error}") from error
