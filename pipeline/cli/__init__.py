"""Run commands, and show their results in a terminal.

arguments.py          the parser of the command line, its commands in the order of use
parsing.py            a parser that suggests what was meant; options that many commands have
data_arguments.py     arguments of `doctor`, `synth`, `init`, `plan`
run_arguments.py      arguments of `run`, and of what shows, compares and schedules runs
encoder_arguments.py  arguments of `encode`, `neighbours`, `export`, `check` and versions
main.py               the table of commands; the one place where errors become exit codes
command.py            commands made of functions
data_commands.py      the commands of data_arguments.py
run_commands.py       those of run_arguments.py
encoder_commands.py   those of encoder_arguments.py
run_footer.py         the last lines of a run
"""
