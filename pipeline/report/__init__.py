"""Summarise a run, and show it as a page.

summary.py             artifacts of a run -> summary.json
feature_statistics.py  StatisticsGen's statistics of each feature
figures.py             plots as Plotly figures
sample_figures.py      plots of single sequences
html_page.py           summary and samples -> report.html
comparison.py          the table of `ragline compare`
"""
