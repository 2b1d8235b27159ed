"""The error that a person reads: one line that says what happened, to what, and what to do about it."""


class CivitaiEtlError(Exception):
    """What went wrong, for the person who has to act; the command line prints it and exits with `exit_code`."""

    exit_code = 1
