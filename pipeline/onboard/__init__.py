"""Lead from raw files to a configuration: `init` and `plan`.

guessing/     the parts that a guess is made from
guess.py      what the columns mean
draft.py      a commented configuration and schema
init.py       `ragline init`
plan.py       `ragline plan`: what a run would find and do
plan_text.py  a plan as text and as data
"""
