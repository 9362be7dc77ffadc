"""Stage 2: statistics, the curated schema, and the gate that stops bad data.

StatisticsGen, ImportSchemaGen and ExampleValidator are TFX's own and stand in `pipeline.dag`.
ExampleValidator writes anomalies and stops nothing; the gate does.

    gate.py        anomalies -> one line each (pure)
    component.py   the TFX component
"""
