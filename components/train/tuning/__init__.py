"""Search for hyperparameters by KerasTuner.

search_space.py  what a search tries, and what it is scored by
search.py        the search, and what has been tried
"""
