"""Call what the commands do: `run`, `plan`, `check`, `encode`, `neighbours`; `load` an encoder."""

import os
import pathlib
from collections.abc import Iterable
from typing import Any

from ragline.components.contract import exits
from ragline.components.contract.errors import BadDataError, RunFailedError
from ragline.components.files.places import Place
from ragline.components.push.contract.check import Checked
from ragline.components.push.contract.check import check as check_model
from ragline.components.push.release import ledger
from ragline.components.serving.encoder import Encoder
from ragline.pipeline import config as configuration
from ragline.pipeline.bulk import neighbours as nearest
from ragline.pipeline.onboard import plan as planning
from ragline.pipeline.onboard.plan import Plan
from ragline.pipeline.python import one_line, process
from ragline.pipeline.runs.runner import Outcome
from ragline.pipeline.runs.workdir import LOG_FILE, SERVING


def run(
    config: str | os.PathLike[str],
    *,
    overrides: Iterable[str] = (),
    workdir: str | os.PathLike[str] | None = None,
    force_bless: str = "",
    new_signature: str = "",
    progress: bool = True,
) -> Outcome:
    """Run the pipeline once; `ragline run` as a function.

    Args:
      config: the path of a configuration.
      overrides: `key=value` each, such as `train.epochs=5`.
      workdir: a work directory in place of the configuration's.
      force_bless: the reason to push a model that the verdict refuses; empty not to.
      new_signature: the reason why the encoder may have other inputs or outputs than the served
        one; empty if it may not.
      progress: whether a terminal or a notebook shows the progress.

    Returns:
      The outcome: `summary`, the content of summary.json, and `folder`, runs/<run id>. A model that
      is not blessed is an outcome, too: `summary["verdict"]` says why.

    Raises:
      BadDataError: the data cannot be used.
      BusyError: another run holds the work directory.
      ConfigError: one line a mistake.
      RunFailedError: the run failed; it says where the traceback is.
    """
    arguments = {
        "config": os.fspath(config),
        "overrides": [*overrides],
        "workdir": None if workdir is None else os.fspath(workdir),
        "force_bless": force_bless,
        "new_signature": new_signature,
    }
    answer = process.call("run", arguments, one_line.of_caller(wanted=progress))
    outcome = Outcome(summary=answer["summary"], folder=pathlib.Path(answer["folder"]))
    reasons = outcome.summary["verdict"]["reasons"]
    if outcome.summary["exit_code"] == exits.BAD_DATA:
        code, _, first = reasons[0].partition(": ")
        raise BadDataError(code, first, *(line.partition(": ")[2] for line in reasons[1:]))
    if outcome.summary["exit_code"] == exits.DEFECT:
        lines = "\n".join(reasons)
        raise RunFailedError(f"{lines}\nthe traceback is in {outcome.folder / LOG_FILE}")
    return outcome


def plan(
    config: str | os.PathLike[str],
    *,
    overrides: Iterable[str] = (),
    workdir: str | os.PathLike[str] | None = None,
) -> Plan:
    """Plan a run from a sample of its input, in seconds; `ragline plan` as a function.

    Raises:
      BadDataError: what would stop a run before its first record.
      ConfigError: one line a mistake.
    """
    folder = None if workdir is None else os.fspath(workdir)
    return planning.plan_run(configuration.load(config, overrides, folder))


def check(model: str | os.PathLike[str], *, trust: bool = False) -> Checked:
    """Check the padding contract of a SavedModel; `ragline check` as a function.

    Args:
      model: the folder of a SavedModel with a signature `encode`.
      trust: load a model whatever it is made of; otherwise one with operations that reach out of
        it is not loaded.

    Returns:
      The result: `violations`, none if the contract holds, and what was checked.

    Raises:
      UsageError: it cannot be checked; one line says why.
    """
    return check_model(pathlib.Path(model), trust=trust)


def load(workdir: str | os.PathLike[str]) -> Encoder:
    """Load the newest sound encoder that a work directory serves.

    Raises:
      NoEncoderError: it serves none.
    """
    return Encoder(ledger.served(pathlib.Path(workdir, SERVING)))


def encode(
    source: Place,
    *,
    input: str,
    output: Place,
    overrides: Iterable[str] = (),
    max_drift: float | None = None,
    errors: bool = False,
    bfloat16: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Encode raw files into a folder of Parquet files; `ragline encode` as a function.

    Args:
      source: a configuration, whose newest encoder is taken, or an encoder's folder or URI.
      input: path or pattern of the raw files.
      output: the folder or its URI; an earlier result in it is replaced, the same one is left as
        it is.
      overrides: `key=value` each, such as `input.format=csv`.
      max_drift: stop if a feature's mean is so many standard deviations from the training data's,
        or its spread so many times theirs, either way, or most words of a category are unknown.
      errors: also compute each sequence's reconstruction error, in several times the time.
      bfloat16: compute the recurrence in bfloat16, where the processor has it.
      progress: whether a terminal or a notebook shows the progress.

    Returns:
      The account: `read`, `encoded`, `quarantined`, `reasons`, `sequences`, `steps`, `parts`,
      `warnings`, `model` and more; see `ragline.pipeline.bulk.encode_files.encode`.

    Raises:
      BadDataError: the files cannot be used.
      UsageError: there is no encoder, or an option is wrong; one line a mistake.
    """
    arguments = {
        "source": os.fspath(source),
        "pattern": input,
        "overrides": [*overrides],
        "output": os.fspath(output),
        "max_drift": max_drift,
        "errors": errors,
        "bfloat16": bfloat16,
    }
    display = one_line.of_caller(wanted=progress)
    account: dict[str, Any] = process.call("encode", arguments, display)
    return account


def neighbours(embeddings: str | os.PathLike[str], id: str, *, k: int = 10) -> list[dict[str, Any]]:
    """Find the sequences nearest to one; `ragline neighbours` as a function.

    Args:
      embeddings: the folder that `encode` wrote, or a part of it.
      id: the sequence's id, or its beginning where that is of one window alone.
      k: the number of neighbours, at most.

    Returns:
      A row a neighbour, the nearest first: `distance`, `sequence_id`, `entity_id`, `length`,
      `reconstruction_error`, `part`.

    Raises:
      UsageError: there are no embeddings, or no sequence has the id.
    """
    return nearest.find(nearest.read(os.fspath(embeddings)), id, k)[1]
