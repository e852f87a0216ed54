"""The one exception for a process that cannot start: :class:`CannotStart`."""


class CannotStart(Exception):
    """The process cannot run with these settings on this machine. The text is one line: the setting and the reason.

    Commands print the text and exit with code 2.
    """
