"""What every operation shares: the catalogue of tables, the guards that judge writes, and housekeeping."""
