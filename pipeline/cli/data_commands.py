"""Run the commands that come before a run: `doctor`, `synth`, `init` and `plan`."""

import argparse
import json
import pathlib
from typing import TYPE_CHECKING

from ragline.components.contract import exits
from ragline.pipeline.cli.command import in_workdir, writing
from ragline.pipeline.runs.terminal import say, show

if TYPE_CHECKING:
    from ragline.pipeline.config import Config


def doctor(options: argparse.Namespace) -> int:
    """Run `ragline doctor`."""
    from ragline.pipeline.onboard import doctor

    findings = doctor.examine(pathlib.Path.cwd())
    if options.json:
        show(json.dumps(doctor.to_dict(findings), indent=2))
    else:
        show(doctor.to_text(findings), fit=True)
    return (
        exits.DEFECT if any(finding.stops == "ragline run" for finding in findings) else exits.DONE
    )


def synth(options: argparse.Namespace) -> int:
    """Run `ragline synth`."""
    from ragline.pipeline.demo import synth

    with writing(options.output):
        data = synth.write(output=options.output, sequences=options.sequences, seed=options.seed)
    say(
        f"{data.sequences} sequences, {data.steps} steps in {len(data.paths)} files: "
        f"{options.output}"
    )
    return exits.DONE


def init(options: argparse.Namespace) -> int:
    """Run `ragline init`."""
    from ragline.pipeline.onboard import init, inputs
    from ragline.pipeline.onboard.guessing.wishes import Wishes

    pattern = inputs.pattern_of(options.paths, options.input)
    wishes = Wishes.of(
        group_by=options.group_by,
        order_by=options.order_by,
        entity=options.entity,
        label=options.label,
        drop=options.drop,
        category=options.category,
        numeric=options.numeric,
    )
    with writing(options.output):
        written = init.write(
            pattern, options.output, options.format, name=options.name, wishes=wishes
        )
    say(written.to_text())
    return exits.DONE


@in_workdir
def plan(options: argparse.Namespace, config: "Config") -> int:
    """Run `ragline plan`."""
    from ragline.pipeline.onboard import plan, plan_text

    run_plan = plan.plan_run(config)
    if options.json:
        show(json.dumps(plan_text.to_dict(run_plan), indent=2))
    else:
        show(plan_text.to_text(run_plan), fit=True)
    return exits.BAD_DATA if run_plan.stops else exits.DONE
