"""Add the arguments of the commands on pushed encoders and embeddings."""

import pathlib

from ragline.pipeline.cli.parsing import Commands, add_config, add_json, positive

_SOURCE = "CONFIG|ENCODER"
_AN_ENCODER = (
    "a TOML file, whose newest encoder is taken; or the folder of an encoder or of numbered ones"
)


def add_encode(commands: Commands) -> None:
    """Add `encode`."""
    encode = commands.add_parser(
        "encode",
        help="embeddings of raw files, as Parquet",
        description="Encodes raw files of any format of ingest, by the newest encoder of a "
        "configuration, whose [input] says how they are read, or by a given one. Writes Parquet "
        "files with the sequences' ids; called again after it was cut off, it resumes. Ends with 0 "
        "if it is done, with 3 if the files cannot be used, with 75 if another process encodes "
        "into the same folder.",
        examples=(
            "ragline encode ragline.toml --input 'data/*.csv' --output embeddings",
            "ragline encode work/serving --input new.csv --output new --max-drift 3",
        ),
    )
    add_config(encode, "source", _SOURCE, _AN_ENCODER)
    encode.add_argument(
        "--input", required=True, metavar="DATA", help="the raw files: one, a folder or a pattern"
    )
    encode.add_argument("--output", required=True, metavar="DIR", help="where the parts go")
    encode.add_argument(
        "--max-drift",
        type=positive,
        metavar="TIMES",
        help="stop if the mean of a feature is so many standard deviations from the training data, "
        "or its spread so many times theirs, either way, or most words of a category are unknown",
    )
    encode.add_argument(
        "--errors",
        action="store_true",
        help="also compute each sequence's reconstruction error, by the decoder and TensorFlow, in "
        "several times the time",
    )
    encode.add_argument(
        "--bfloat16",
        action="store_true",
        help="compute the recurrence in bfloat16 where the processor has it: 17 to 42%% of the "
        "encoder's time less, with numbers that differ in the third digit",
    )


def add_neighbours(commands: Commands) -> None:
    """Add `neighbours`."""
    neighbours = commands.add_parser(
        "neighbours",
        help="the sequences whose embeddings are nearest to one's",
        description="Prints the sequences nearest to one, by the Euclidean distance of their "
        "embeddings, which `ragline encode` wrote: distance, id, length, reconstruction error and "
        "the file of embeddings; with --labels, further columns of a table of ids.",
        examples=(
            "ragline neighbours embeddings --id walk-17",
            "ragline neighbours embeddings --id walk-17 -k 20 --labels people.csv --json",
        ),
    )
    neighbours.add_argument(
        "embeddings", metavar="EMBEDDINGS", help="a folder that `ragline encode` wrote, or a part"
    )
    neighbours.add_argument("--id", required=True, help="id of the sequence, or its beginning")
    neighbours.add_argument("-k", type=positive, default=10, metavar="N", help="so many, else 10")
    neighbours.add_argument(
        "--labels",
        type=pathlib.Path,
        metavar="FILE",
        help="a CSV or Parquet file whose column sequence_id or entity_id names the rows",
    )
    add_json(neighbours)


def add_export(commands: Commands) -> None:
    """Add `export`."""
    export = commands.add_parser(
        "export",
        help="an encoder for another runtime",
        description="Writes a pushed encoder as one file for another runtime, standardisation "
        "inside, once it gives the SavedModel's embeddings there. Needs ragline[export].",
        examples=(
            "ragline export ragline.toml --format onnx --output encoder.onnx",
            "ragline export work/serving/3 --format onnx --output encoder.onnx --force",
        ),
    )
    export.add_argument("encoder", metavar=_SOURCE, help=_AN_ENCODER)
    export.add_argument("--format", required=True, choices=["onnx"])
    export.add_argument("--output", required=True, type=pathlib.Path, metavar="FILE")
    export.add_argument("--force", action="store_true", help="replace the file if it is there")
    export.add_argument(
        "--trust",
        action="store_true",
        help="load it even if it has operations that ragline does not export",
    )


def add_check(commands: Commands) -> None:
    """Add `check`."""
    check = commands.add_parser(
        "check",
        help="prove that padding has no effect on an encoder",
        description="Checks the padding contract of any SavedModel with a signature `encode` "
        "(values [B, T, F], length [B] -> embedding [B, E]). Ends with 0 if the contract holds, "
        "with 4 if it does not, with 2 if there is nothing to check.",
        examples=("ragline check ragline.toml", "ragline check some/saved_model --json"),
    )
    check.add_argument("model", metavar="CONFIG|MODEL", help=f"{_AN_ENCODER}; or of any SavedModel")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.add_argument(
        "--trust",
        action="store_true",
        help="load it even if it has operations that reach out of it",
    )


def add_versions(commands: Commands) -> None:
    """Add `versions`."""
    versions = commands.add_parser(
        "versions",
        help="list every version that was ever pushed",
        description="Prints the ledger of a work directory as a table (Markdown), newest first.",
        examples=("ragline versions ragline.toml",),
    )
    add_config(versions)


def add_rollback(commands: Commands) -> None:
    """Add `rollback`."""
    rollback = commands.add_parser(
        "rollback",
        help="make an earlier version the newest again",
        description="Makes a copy of an earlier version the newest, by the same checks as a push, "
        "and withdraws the model that was the newest: no run pushes it again, until a rollback to "
        "it. Ends with 0 if it is done, with 4 if the earlier version does not pass its "
        "check, with 75 if a run holds the work directory.",
        examples=("ragline rollback ragline.toml --why 'worse on short ones' --to 3",),
    )
    add_config(rollback)
    rollback.add_argument(
        "--to", type=positive, metavar="VERSION", help="by default the newest of another model"
    )
    rollback.add_argument(
        "--why", required=True, metavar="TEXT", help="a sentence that the ledger keeps"
    )
