"""Run commands, and show their results in a terminal.

arguments.py   the parser of the command line
main.py        the commands; the one place where errors become exit codes
run_footer.py  the last lines of a run
"""
