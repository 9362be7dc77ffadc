"""Summarise a run, and show it as a page.

summary.py             artifacts of a run -> summary.json
feature_statistics.py  StatisticsGen's statistics of each feature
figures.py             plots as Plotly figures
sample_figures.py      plots of single sequences
html_page.py           summary and samples -> report.html
find_run.py            the folder of a run
run_diff.py            what differs between two runs, for `ragline diff`
comparison.py          the table of `ragline compare`
"""
