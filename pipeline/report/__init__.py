"""Gather what a run did, and show it as a page.

summary.py             what a run did, from its artifacts: summary.json
feature_statistics.py  what StatisticsGen says of each feature
figures.py             plots as Plotly figures
sample_figures.py      plots of single sequences
html_page.py           summary and samples -> report.html
comparison.py          the table of `ragline compare`
"""
