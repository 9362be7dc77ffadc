"""Define the exit codes of `ragline`; part of the contract, so that a scheduler can act on them."""

DONE = 0
DEFECT = 1
BAD_CONFIG = 2
BAD_DATA = 3
NOT_BLESSED = 4
BUSY = 75
HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # 128 + the number of the signal.
