"""Stage 2: statistics, the curated schema, and the gate that stops bad data.

StatisticsGen, ImportSchemaGen and ExampleValidator are TFX's own and stand in pipeline/dag.py.
ExampleValidator writes anomalies and stops nothing; the gate does.

    gate.py        anomalies -> one line each (pure)
    drift.py       the newest span beside those before it -> figures, and one line each (pure)
    options.py     how far it may drift
    component.py   the TFX component
"""
