"""The roles of people, and the sets of roles that the route table names.

| role | a person who |
|---|---|
| viewer | looks things up |
| finance | reports, exports and reconciles; may request a refund |
| operator | settles what only a person can settle; may request a refund |
| approver | decides about refunds that another person requested; signs off reconciliations |
| auditor | reads everything, also the access log, and changes nothing |
"""

from typing import Final, Literal, get_args

Role = Literal["viewer", "finance", "operator", "approver", "auditor"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

EVERY_ROLE: Final[frozenset[Role]] = frozenset(ROLES)
EXPORTERS: Final[frozenset[Role]] = frozenset({"finance", "auditor"})
SEE_PERSONAL_DATA: Final[frozenset[Role]] = frozenset({"finance", "operator", "auditor"})
OPERATORS: Final[frozenset[Role]] = frozenset({"operator"})
REFUND_MAKERS: Final[frozenset[Role]] = frozenset({"finance", "operator"})
REFUND_CHECKERS: Final[frozenset[Role]] = frozenset({"approver"})
SEE_RECONCILIATIONS: Final[frozenset[Role]] = EVERY_ROLE - {"viewer"}
RECONCILERS: Final[frozenset[Role]] = frozenset({"finance", "operator"})
SIGN_OFF_RECONCILIATIONS: Final[frozenset[Role]] = frozenset({"finance", "approver"})
SEE_OPERATIONS: Final[frozenset[Role]] = frozenset({"operator", "auditor"})
AUDITORS: Final[frozenset[Role]] = frozenset({"auditor"})


def role_named(text: str) -> Role:
    """Return the role of this name. Raises ``ValueError``."""
    for role in ROLES:
        if role == text:
            return role
    raise ValueError(f"role: must be one of {', '.join(ROLES)}; got {text!r}")
