"""Gather the facts that decide a run's results, before anything of TFX is imported."""

import dataclasses
import hashlib
import pathlib
from typing import Any

from ragline.components.evaluate.verdict.baseline_model import describe
from ragline.components.files.storage import write_bytes
from ragline.components.ingest.source import read_plan
from ragline.components.push.release import ledger
from ragline.pipeline.cache import cache_key
from ragline.pipeline.config import Config, Contract
from ragline.pipeline.run_facts import RunFacts
from ragline.pipeline.runs import workdir
from ragline.pipeline.served import signature


def gather(
    config: Config,
    contract: Contract,
    folder: pathlib.Path,
    force_bless_reason: str,
    signature_change: str,
    given: pathlib.Path = pathlib.Path(),
) -> RunFacts:
    """Gather what decides the stages' results; reads the input files for their digest.

    Args:
      config: the configuration of the run.
      contract: the schema and the verdict's rules.
      folder: the work directory, in which a copy of the schema is kept.
      force_bless_reason: the reason to bless the model in any case; empty not to.
      signature_change: the sentence on a new signature; empty if it is that of what is served.
      given: the work directory as stages know it.

    Raises:
      BadDataError: there are no input files.
    """
    return RunFacts(
        contract=contract,
        schema_file=given / _keep_schema(contract, folder).relative_to(folder),
        source=cache_key.source(),
        input_fingerprint=read_plan.fingerprint(config.input),
        force_bless_reason=force_bless_reason,
        new_signature=signature_change,
        **served(config, contract, folder, given),
    )


def served(
    config: Config, contract: Contract, folder: pathlib.Path, given: pathlib.Path = pathlib.Path()
) -> dict[str, Any]:
    """Return the facts on what is served: its state, and the newest version that the ledger knows.

    No other version's model is loaded. Its path is stated as a stage is given it.
    """
    serving = folder / workdir.SERVING
    model = None
    if version := ledger.newest(serving):
        wanted = signature.configured(config, contract.columns)
        unlike = signature.unlike(wanted, version.path)
        described = describe(version.number, version.path, unlike)
        place = given / workdir.SERVING / version.path.name
        model = dataclasses.replace(described, path=str(place))
    return {"baseline_model": model, "serving_state": ledger.state(serving)}


def _keep_schema(contract: Contract, folder: pathlib.Path) -> pathlib.Path:
    """Keep a copy of the schema under a path that names its content: TFX's cache sees the path."""
    content = contract.text.encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    copy = folder / "schemas" / digest / contract.file_name
    if not copy.is_file() or copy.read_bytes() != content:
        write_bytes(copy, content)
    return copy
