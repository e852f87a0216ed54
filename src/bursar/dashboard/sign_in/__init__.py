"""The people that work in the dashboard: accounts, roles, sessions, slowed sign-in, and tokens against forged forms."""
