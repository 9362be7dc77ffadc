"""Read the formats of raw files: one class a format, by which every command reads its files.

interface.py         what a format is
csv.py               long tables, a row a step
parquet.py           long tables, or a row a sequence with lists in its cells
jsonl.py             JSON Lines, a line a sequence or a step
ts.py                the UEA/UCR archive's .ts
npz.py               NumPy archives
tfrecord.py          TFRecord of tf.Example in the raw contract
sequence_example.py  TFRecord of tf.SequenceExample
xes.py               event logs, a trace a sequence
avro.py              Avro, a record a sequence or a step
arff.py              ARFF, a row a sequence or a step
parsing/             cells, objects, arrays and messages, for several formats
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Choice, Registry

if TYPE_CHECKING:
    from ragline.components.ingest.formats.interface import Format

# First bytes are shown to the last one first: those before it take more for theirs.
FORMATS: "Registry[type[Format]]" = Registry(
    "format",
    "ragline.formats",
    __name__,
    {
        "csv": "csv:Csv",
        "parquet": "parquet:Parquet",
        "jsonl": "jsonl:JsonLines",
        "avro": "avro:Avro",
        "ts": "ts:Ts",
        "arff": "arff:Arff",
        "npz": "npz:Npz",
        "xes": "xes:Xes",
        "tfrecord": "tfrecord:TfRecord",
        "sequence_example": "sequence_example:SequenceExample",
    },
)
AUTO = "auto"
# What `input.format` takes.
NAMES = Choice(FORMATS, words=(AUTO,))


def of(name: str) -> "Format":
    """Return a format by its name; its module is imported now.

    Raises:
      UsageError: the format of another distribution cannot be imported.
    """
    return FORMATS[name]()


def tables() -> str:
    """Name the formats in which a row can be a step, for the error of a file in another."""
    return " or ".join(name for name in FORMATS if of(name).is_table)
