"""Give each person of the provider one name. A name in the history of payments always means the same person.

Addresses and user names change owners at a provider; only the claim ``sub`` does not. The name of a person's first
sign-in is kept, so a renamed person cannot request a refund under one name and approve it under another.
"""

from bursar.dashboard.state_file import StateFile


class ProviderPeople:
    """The names of the people that have signed in through a provider."""

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def name_of(self, issuer: str, subject: str, name: str) -> str | None:
        """Return the first name of the person ``subject``; None if ``name`` belongs to another person."""
        key = (issuer, subject)
        with self._state.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO provider_people VALUES (?, ?, ?)", (*key, name))
            row = connection.execute(
                "SELECT name FROM provider_people WHERE issuer = ? AND subject = ?", key
            ).fetchone()
        return None if row is None else str(row["name"])

    def forget(self, name: str) -> bool:
        """Remove a name, and end its sessions. Return whether it was known."""
        with self._state.writing() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE name = ? AND token_hash IN (SELECT token_hash FROM provider_sessions)",
                (name,),
            )
            return connection.execute("DELETE FROM provider_people WHERE name = ?", (name,)).rowcount > 0
