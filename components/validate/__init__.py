"""Check the data by statistics and the curated schema; the gate stops bad data.

StatisticsGen and ExampleValidator are TFX's own, wired in pipeline/dag.py, but for where the first
one writes; so is ImportSchemaGen, but for where it finds its file.
ExampleValidator writes anomalies and stops nothing; the gate does.

    schema.py      the curated schema, imported
    statistics.py  TFX's statistics, by way of a store where there is one
    gate.py        anomalies -> one line each (pure)
    drift.py       statistics of spans -> drift of the newest, and one line each (pure)
    features.py    the table `[features]`, and the schema that it stands for (pure)
    options.py     how far the newest span may drift
    component.py   the TFX component
"""
