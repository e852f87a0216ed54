"""Web pages over the portal and its reports: for finance, operators and auditors, and a sandbox for developers."""
