"""Point-in-time recovery, backups, restores, exports and imports."""
