"""The core that every operation shares: the catalogue of tables, the guards, and the housekeeping."""
