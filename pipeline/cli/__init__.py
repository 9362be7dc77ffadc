"""Run commands, and show their results in a terminal.

arguments.py   what the command line takes
main.py        what it does with it; the one place where errors become exit codes
run_footer.py  the last words of a run
"""
