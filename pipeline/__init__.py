"""Wire the stages into runs, and give them a command line and an interface for Python.

cli/          commands and their arguments
runs/         runs in a work directory, and their spans
served/       versions and signatures that a work directory serves
cache/        results that a run takes from earlier runs
report/       summary, plots, report.html
onboard/      `init` and `plan`
bulk/         `encode`
python/       the calls and the estimator of `import ragline`
demo/         the demo's data
config.py     the configuration: TOML -> frozen dataclasses
run_facts.py  what decides the stages' results beside it
dag.py        the wiring of the stages
"""
