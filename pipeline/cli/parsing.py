"""Parse arguments as argparse does, with suggestions, examples and the types of ragline's options.

Only what `--help` needs is imported here.
"""

import argparse
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

from ragline.components.contract.suggestions import did_you_mean, nearest

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
_EXAMPLES = "examples:\n"
_CONFIG = "CONFIG"


class _Help(argparse.HelpFormatter):
    """Keeps the lines of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(_EXAMPLES) else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Parses a command line, and says what a mistake in it may have meant."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        """Take argparse's options, and examples that `--help` ends with."""
        if examples:
            options["epilog"] = _EXAMPLES + "\n".join(f"  {example}" for example in examples)
        super().__init__(*args, **options)
        self.formatter_class = _Help
        self.allow_abbrev = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, and refuse what is unknown here, where the options that were meant are known."""
        namespace, unknown = super().parse_known_args(args, namespace)
        for override in getattr(namespace, "overrides", ()):
            if "=" not in override:
                # Of `--set KEY VALUE CONFIG`, the value is taken for the configuration.
                named = (override, f"--set={override}")
                values = [b for a, b in itertools.pairwise(args or ()) if a in named]
                meant = f"; write --set {override}={values[0]}" if unknown and values else ""
                self.error(f"argument --set: expected KEY=VALUE, received {override!r}{meant}")
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Print usage and message, with what may have been meant, and end with 2."""
        super().error(message + self._suggestion(message))

    def _suggestion(self, message: str) -> str:
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            return did_you_mean(choice[1], re.findall(r"'([^']+)'", choice[2]))
        if unknown := re.search(r"unrecognized arguments: (-\S+)", message):
            option = unknown[1].partition("=")[0]
            if meant := nearest(option, self._option_string_actions):
                return f"; did you mean {meant}?"
            if "--set" in self._option_string_actions:
                return "; a key of the configuration is set by --set KEY=VALUE"
        if "are required" in message and _CONFIG in message:
            return "; `ragline init DATA` writes one"
        return ""


def add_config(
    command: Parser,
    name: str = "config",
    metavar: str = _CONFIG,
    what: str = "a TOML file, or a folder with a ragline.toml in it",
) -> None:
    """Add what every command on a configuration takes."""
    command.add_argument(name, metavar=metavar, help=what)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="in place of the file's value, such as train.epochs=5; may be given again",
    )
    command.add_argument("--workdir", metavar="DIR", help="where the run keeps all that it writes")
    add_json(command)


def add_json(command: Parser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def add_verbose(command: Parser) -> None:
    """Add `--verbose`."""
    command.add_argument(
        "-v", "--verbose", action="store_true", help="show the log, too, which is kept in log.txt"
    )


def spans(parser_name: str) -> Callable[[str], range]:
    """Make an argparse type of a function of `spans`, imported late: `--help` needs none of it."""

    def read(text: str) -> range:
        from ragline.pipeline.runs import spans

        try:
            numbers: range = getattr(spans, parser_name)(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return numbers

    return read


def reason(text: str) -> str:
    """Return a reason without blanks around it; refuse an empty one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the reason, received an empty text")
    return text.strip()


def positive(text: str) -> int:
    """Return an integer of at least 1."""
    return _at_least(1, text)


def not_negative(text: str) -> int:
    """Return an integer of at least 0."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or number < least:
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least {least}, received {text!r}"
        )
    return number
