"""Find what was changed in the payments table without the portal."""
