"""Errors that are the data's fault, not the program's."""


class BadDataError(Exception):
    """The data cannot be used and the run stops; `ragline` exits with code 3, without a traceback.

    Attributes:
      code: a snake_case word that programs may match on, such as `no_data`.
      lines: what a person reads, one finding a line; what is no text in it, of a file's name say,
        is U+FFFD, so that no report breaks on it.
    """

    def __init__(self, code: str, *lines: str) -> None:
        lines = tuple(
            line.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for line in lines
        )
        super().__init__(f"{code}: " + "\n".join(lines))
        self.code = code
        self.lines = lines
