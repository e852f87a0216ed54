"""The people that work in the dashboard: accounts, roles, sessions, limits on failed sign-ins, and tokens for forms."""
