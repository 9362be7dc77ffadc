"""Lead from raw files to a configuration: `init` and `plan`.

guessing/     the questions that a guess answers, a module each
guess.py      the meaning of columns, guessed from names and values
draft.py      a commented configuration, from a guess
inputs.py     the pattern of files, a folder, or many names
init.py       `ragline init`
plan.py       `ragline plan`: what a run would find and do
doctor.py     `ragline doctor`: packages, machine, disk
plan_text.py  a plan as text and as data
"""
