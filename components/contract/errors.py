"""Errors that a person is told of in sentences; all others are the program's defects."""

from ragline.components.contract import exits


class UserError(Exception):
    """Ends a command: its text is printed, without a traceback.

    Attributes:
      exit_code: of `ragline`.
    """

    exit_code = exits.DEFECT


class UsageError(UserError):
    """What was asked for cannot be done: an option, a configuration, a path."""

    exit_code = exits.BAD_CONFIG


class BadDataError(UserError):
    """The data cannot be used, and the run stops.

    Attributes:
      code: a snake_case word that programs may match on, such as `no_data`.
      lines: what a person reads, one finding a line; what is no text in it, of a file's name say,
        is U+FFFD, so that no report breaks on it.
    """

    exit_code = exits.BAD_DATA

    def __init__(self, code: str, *lines: str) -> None:
        lines = tuple(
            line.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for line in lines
        )
        super().__init__(f"{code}: " + "\n".join(lines))
        self.code = code
        self.lines = lines
