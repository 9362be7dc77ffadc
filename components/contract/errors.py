"""Define the errors that are shown as sentences; any other error is a defect of ragline."""

from ragline.components.contract import exits


class UserError(Exception):
    """Ends a command; its text is printed, without a traceback.

    Attributes:
      exit_code: exit code of the command.
    """

    exit_code = exits.DEFECT


class UsageError(UserError):
    """Says that a request cannot be met: an option, a configuration or a path is wrong."""

    exit_code = exits.BAD_CONFIG


class NoEncoderError(UsageError):
    """Says that there is no encoder where one is expected, and what is there."""


class InputError(UsageError, ValueError):
    """Says that sequences given from Python are not what is expected."""


class NotBlessedError(UserError):
    """Says by which sentences a model was not blessed; nothing was pushed."""

    exit_code = exits.NOT_BLESSED


class RunFailedError(UserError):
    """Says why a run failed, and where the traceback is."""


class BadDataError(UserError):
    """Says that the data cannot be used; the run stops.

    Attributes:
      code: snake_case word that programs may match, such as `no_data`.
      lines: sentences for a person, one finding each; bytes that are no text, in a file's name say,
        are U+FFFD, so that every report can show them.
    """

    exit_code = exits.BAD_DATA

    def __init__(self, code: str, *lines: str) -> None:
        lines = tuple(
            line.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for line in lines
        )
        super().__init__(code, *lines)
        self.code = code
        self.lines = lines

    def __str__(self) -> str:
        return f"{self.code}: " + "\n".join(self.lines)
