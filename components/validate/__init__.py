"""Stage 2: statistics, the curated schema, and the gate that stops bad data.

StatisticsGen and ExampleValidator are TFX's own, wired in pipeline/dag.py; so is ImportSchemaGen,
but for where it finds its file.
ExampleValidator writes anomalies and stops nothing; the gate does.

    schema.py      the curated schema, imported
    gate.py        anomalies -> one line each (pure)
    drift.py       the newest span beside those before it -> figures, and one line each (pure)
    options.py     how far it may drift
    component.py   the TFX component
"""
