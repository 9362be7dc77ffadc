"""Run the command line: `ragline`, or `python -m ragline`.

Exit codes: 0 done; 1 a defect; 2 bad configuration; 3 bad data; 4 not blessed, nothing pushed (of
`check` and `rollback`: the contract does not hold); 75 another run holds the work directory; 129,
130 and 143 ended by SIGHUP, SIGINT (Ctrl-C) and SIGTERM. Progress goes to stderr, `--json` puts the
summary on stdout. TensorFlow, Beam and TFX are imported only by the commands that need them.
"""

import argparse
import gc
import os
from collections.abc import Sequence

from ragline.components.contract import exits
from ragline.components.contract.errors import UserError
from ragline.pipeline.cli import data_commands, encoder_commands, run_commands
from ragline.pipeline.cli.arguments import parser
from ragline.pipeline.cli.command import Command
from ragline.pipeline.runs import interrupts, terminal
from ragline.pipeline.runs.terminal import say, show


def process() -> int:
    """Run a command in a process of its own, and return its exit code."""
    terminal.open_streams()
    # A search for cyclic garbage walks over all that is imported: 3 of 46 CPU seconds of a run.
    gc.set_threshold(50_000, 10, 5)
    if "_ARGCOMPLETE" in os.environ:  # A shell asks for the words that may come next.
        import argcomplete

        argcomplete.autocomplete(parser())
    with interrupts.ending_the_process():
        try:
            return main()
        finally:
            terminal.flush_or_drop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except UserError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        from ragline.pipeline.runs import machine_errors

        if (sentence := machine_errors.sentence(error)) is None:
            raise
        say(sentence)
        return exits.DEFECT


def _help(options: argparse.Namespace) -> int:
    topic = getattr(options, "topic", None)
    if topic:
        parser().parse_args([topic, "--help"])
    show(parser().format_help().rstrip())
    return exits.DONE


def _completion(options: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    show(shellcode(["ragline"], True, options.shell).strip())
    return exits.DONE


COMMANDS: dict[str | None, Command] = {
    None: _help,
    "check": encoder_commands.check,
    "clean": run_commands.clean,
    "compare": run_commands.compare,
    "compile": run_commands.compile_pipeline,
    "completion": _completion,
    "diff": run_commands.diff,
    "doctor": data_commands.doctor,
    "encode": encoder_commands.encode,
    "export": encoder_commands.export,
    "help": _help,
    "init": data_commands.init,
    "neighbours": encoder_commands.neighbours,
    "open": run_commands.open_report,
    "plan": data_commands.plan,
    "report": run_commands.report,
    "rollback": encoder_commands.rollback,
    "run": run_commands.run,
    "spans": run_commands.list_spans,
    "synth": data_commands.synth,
    "versions": encoder_commands.versions,
    "worker": run_commands.worker,
}
