"""The fees with their classification, and the clients that may charge them, as an agency writes them in TOML."""
