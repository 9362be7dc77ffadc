"""Write the folder of CSV files of docs/first-hour.md, and the labels beside it.

    data/*.csv   600 recordings of a simulated wearable, a row a step
    labels.csv   sequence_id, label

`python examples/gestures_csv.py` writes both where it is started.
"""

import csv
import pathlib

from ragline.pipeline.demo import synth

FEATURES = ("ax", "ay", "az", "gz", "heart_rate")
FILES, SEQUENCES = 4, 600


def main(folder: pathlib.Path) -> None:
    """Write both."""
    (folder / "data").mkdir()
    records = list(synth.gestures(sequences=SEQUENCES, seed=0))
    each = SEQUENCES // FILES
    for place in range(FILES):
        rows = (row for record in records[place * each :][:each] for row in steps(record))
        write(
            folder / "data" / f"gestures-{place:05d}.csv",
            ["wearer", "recording", "t", *FEATURES, "label"],
            rows,
        )
    labels = ((r["sequence_id"], r["label"]) for r in records if "label" in r)
    write(folder / "labels.csv", ["sequence_id", "label"], labels)


def steps(record):
    """Return the rows of a recording, 50 a second."""
    columns = [record["features"][name] for name in FEATURES]
    for step, values in enumerate(zip(*columns, strict=True)):
        yield [
            record["entity_id"], record["sequence_id"], step / 50, *values, record.get("label"),
        ]  # fmt: skip


def write(file, header, rows):
    """Write a table."""
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main(pathlib.Path())
