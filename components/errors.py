"""Errors that are the data's fault, not the program's."""


class BadDataError(Exception):
    """The data cannot be used and the run stops; `ragline` exits with code 3, without a traceback.

    Attributes:
      code: a snake_case word that programs may match on, such as `no_data`.
      lines: what a person reads, one finding a line.
    """

    def __init__(self, code: str, *lines: str) -> None:
        super().__init__(f"{code}: " + "\n".join(lines))
        self.code = code
        self.lines = lines
