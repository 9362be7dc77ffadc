"""Run the commands on pushed encoders and embeddings."""

import argparse
import json
import pathlib
from typing import TYPE_CHECKING

from ragline.components.contract import exits
from ragline.components.contract.errors import UsageError
from ragline.pipeline.cli.command import in_workdir, of_runs, writing
from ragline.pipeline.runs import terminal
from ragline.pipeline.runs.terminal import say, show

if TYPE_CHECKING:
    from ragline.pipeline.config import Config


def encode(options: argparse.Namespace) -> int:
    """Run `ragline encode`."""
    say(f"encodes {options.input} by {options.source}")
    from ragline.pipeline.bulk import encode_files
    from ragline.pipeline.onboard import inputs

    pattern = inputs.pattern_of([options.input])
    request = encode_files.read_request(
        options.source,
        pattern,
        options.overrides,
        options.workdir,
        options.max_drift,
        options.errors,
        options.bfloat16,
    )
    summary = encode_files.encode(request, options.output)
    for warning in summary["warnings"]:
        say(f"warning: {warning}")
    say(
        f"{summary['read']} records: {summary['encoded']} encoded, "
        f"{summary['quarantined']} quarantined\n"
        f"{summary['sequences']} embeddings in {len(summary['parts'])} parts: {options.output}"
    )
    if options.json:
        show(json.dumps(summary, indent=2))
    return exits.DONE


def neighbours(options: argparse.Namespace) -> int:
    """Run `ragline neighbours`."""
    from ragline.pipeline.bulk import neighbours
    from ragline.pipeline.cli import run_footer

    embeddings = neighbours.read(options.embeddings)
    row, nearest = neighbours.find(embeddings, options.id, options.k)
    if options.labels is not None:
        key, known = neighbours.labels(options.labels)
        row, *nearest = neighbours.with_labels([row, *nearest], key, known)
    if options.json:
        show(json.dumps({"sequence": row, "neighbours": nearest}, indent=2, default=str))
    else:
        table = neighbours.to_table(row, nearest)
        show("\n".join(run_footer.table(map(tuple, table))))
    return exits.DONE


def export(options: argparse.Namespace) -> int:
    """Run `ragline export`."""
    from ragline.pipeline.served import encoders

    if options.output.exists() and not options.force:
        raise UsageError(f"--output: {options.output}: is there already; --force replaces it")
    encoder = encoders.locate(options.encoder)
    with terminal.hushed():
        try:
            from ragline.components.export import write
        except ImportError as error:
            raise UsageError(
                f"export: expected {error.name}, which `pip install ragline[export]` brings"
            ) from error
        if not options.trust:
            _check_operations(encoder)
        with writing(options.output):
            figure = write.onnx(encoder, options.output)
    say(f"{options.output}: in onnxruntime, at most {figure:.1e} from the SavedModel's embeddings")
    return exits.DONE


def _check_operations(model: pathlib.Path) -> None:
    """Refuse a model that ragline did not export, before any of it is loaded."""
    from ragline.components.push.contract import graph

    try:
        strange = graph.foreign_ops(model)
    except (OSError, ValueError) as error:
        raise UsageError(f"{model}: expected a SavedModel: {error}") from error
    if strange:
        raise UsageError(
            f"{model}: expected a model that ragline exported, received one with other operations, "
            f"which is not loaded unless --trust says so; {strange[0]}"
        )


def check(options: argparse.Namespace) -> int:
    """Run `ragline check`."""
    from ragline.components.push.contract import check
    from ragline.pipeline.served import encoders

    model = encoders.locate(options.model)
    checked = check.check(model, trust=options.trust)
    if options.json:
        show(json.dumps(checked.to_dict(model), indent=2))
    else:
        show(checked.to_text(model))
    return exits.NOT_BLESSED if checked.violations else exits.DONE


@of_runs
def versions(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline versions`."""
    from ragline.pipeline.served import versions

    rows = versions.rows(config)
    show(json.dumps(rows, indent=2) if options.json else versions.markdown(rows))
    return exits.DONE


@in_workdir
def rollback(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline rollback`."""
    from ragline.pipeline.served import versions

    result, text = versions.roll_back(config, why=options.why, to=options.to)
    say(text)
    if options.json:
        show(json.dumps(result, indent=2))
    return exits.DONE if result["pushed"] else exits.NOT_BLESSED
