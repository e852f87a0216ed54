"""The pages of answers: the named reports with their charts, and SQL."""
