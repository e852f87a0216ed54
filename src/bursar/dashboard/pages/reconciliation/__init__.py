"""The pages of reconciliations: upload of an activity file, the runs, and their sign-off."""
