"""The pages that people open first: the overview with its chart, and what needs attention."""
