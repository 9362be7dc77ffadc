"""Wire the stages into runs, and give them a command line.

cli/        commands, and what a person sees in a terminal
runs/       runs in a work directory, and their spans
served/     what a work directory serves: versions, signatures
cache/      what a run takes from earlier ones
report/     summary, plots, report.html
onboard/    `init` and `plan`
bulk/       `encode`
demo/       the demo's data
config.py   TOML -> frozen dataclasses, every mistake named
dag.py      which stage feeds which (wiring only)
"""
