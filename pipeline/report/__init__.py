"""Summarise a run, and show it as a page.

summary.py             artifacts of a run -> summary.json
feature_statistics.py  StatisticsGen's statistics of each feature
html_page.py           summary and samples -> report.html
run_files.py           what a run left beside its summary: options, samples of its training
page_answers.py        the head of the page: a line for each question (pure)
page_tables.py         its tables (pure)
page_formats.py        its numbers, as text (pure)
figures.py             its plots, as Plotly figures (pure)
sample_figures.py      plots of single sequences (pure)
find_run.py            the folder of a run
run_diff.py            what differs between two runs, for `ragline diff`
comparison.py          the table of `ragline compare`

The page's templates, style and script stand in the folder page.
"""
