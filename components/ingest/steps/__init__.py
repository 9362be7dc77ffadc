"""Order the steps of each record and cut them into sequences.

calendar.py      hour of the day and day of the week, by a zone's clocks
times.py         times of steps -> int64 nanoseconds, or rejected
time_formats.py  times as people write them, by a stated format
merging.py       steps of one time made one
time_order.py    the steps of each record in the order of their times
resampling.py    steps at irregular times put on regular ones
windowing.py     sessions at long pauses, and windows
policies.py      order, sessions, windows and lengths together
"""
