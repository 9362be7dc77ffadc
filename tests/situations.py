"""What people have, as it is: situations, each written by a function, and what is right for it."""

import dataclasses
import datetime
import decimal
import gzip
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragline.components.contract import exits

SEQUENCES, STEPS = 90, 6
RANDOM = np.random.default_rng(0)
# (id, step, value) of a long table.
ROWS = [
    (f"s{i}", t, float(np.round(RANDOM.normal(), 3)))
    for i in range(SEQUENCES)
    for t in range(STEPS)
]
Write = Callable[[pathlib.Path], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reads:
    """What a situation is read as; of `options`, what the configuration must have among others."""

    features: tuple[str, ...]
    sequences: int = SEQUENCES
    categories: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    missing: dict[str, float] = dataclasses.field(default_factory=dict)
    steps: int | None = None
    rejected: int = 0
    says: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Says:
    """The one sentence that a situation ends in: all of these are in it, and the file's name."""

    parts: tuple[str, ...]
    exit_code: int = exits.BAD_DATA


def _table(name: str, header: str, row: Callable[[int, str, int, float], str]) -> Write:
    def write(folder: pathlib.Path) -> None:
        lines = [row(place, *cells) for place, cells in enumerate(ROWS)]
        text = "\n".join([header, *lines] if header else lines) + "\n"
        (folder / name).write_text(text, encoding="utf-8")

    return write


def _bytes(name: str, content: bytes | Callable[[], bytes]) -> Write:
    return lambda folder: (folder / name).write_bytes(
        content if isinstance(content, bytes) else content()
    )


def _lines(name: str, record: Callable[[int], dict[str, Any]], number: int = SEQUENCES) -> Write:
    text = "\n".join(json.dumps(record(i), ensure_ascii=False) for i in range(number))
    return _bytes(name, text.encode())


def _parquet(name: str, columns: Callable[[], dict[str, Any]]) -> Write:
    return lambda folder: pq.write_table(pa.table(columns()), folder / name)


def _xes_of_flags() -> str:
    trace = (
        '<trace><string key="concept:name" value="t{0}"/><boolean key="left" value="{1}"/>'
        '<event><float key="cost" value="{0}.5"/></event>'
        '<event><float key="cost" value="2"/></event></trace>'
    )
    traces = (trace.format(i, str(i % 3 == 0).lower()) for i in range(SEQUENCES))
    return f'<log xes.version="1.0">{"".join(traces)}</log>'


def _padded(padding: float) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(1).normal(size=(SEQUENCES, 8, 3))
    lengths = np.arange(SEQUENCES) % 7 + 2
    values[np.arange(8) >= lengths[:, None]] = padding
    return values, lengths


def _files(folder: pathlib.Path) -> None:
    for pump in range(10):
        for n in range(9):
            rows = "".join(f"{t},{pump + t / 7:.3f}\n" for t in range(STEPS))
            (folder / f"pump{pump:02d}_{n:04d}.csv").write_text(f"t,pressure\n{rows}")


def _units_again(folder: pathlib.Path) -> None:
    for name, sign in (("a", 1), ("b", -1)):
        rows = "".join(
            f"{unit},{cycle},{sign * unit + cycle / 9:.3f}\n"
            for unit in range(1, 46)
            for cycle in range(1, 8)
        )
        (folder / f"{name}.csv").write_text(f"unit,cycle,x\n{rows}")


def _late(folder: pathlib.Path) -> None:
    """A column that varies, and one that lacks cells, after the first 20,000 rows only."""
    rows = [
        f"{run},{t},{t / 3:.2f},{0.0 if run < 450 else t / 9:.2f},"
        f"{'' if run >= 450 and t % 7 == 0 else f'{run / 7:.2f}'}"
        for run in range(500)
        for t in range(50)
    ]
    (folder / "a.csv").write_text("\n".join(["run,t,temp,valve,flow", *rows]) + "\n")


def _measured(folder: pathlib.Path) -> None:
    """A measurement a row; two of one variable at one time in each file."""
    for stay in range(SEQUENCES):
        rows = [f"00:00,RecordID,{132000 + stay}", f"00:00,Age,{20 + stay % 50}"]
        rows += [f"{h:02d}:00,HR,{60 + h + stay % 7}" for h in range(0, 48, 6)]
        rows += [f"{h:02d}:30,Temp,{36 + h / 24:.2f}" for h in range(0, 48, 12)]
        rows.append("06:00,HR,99")
        text = "\n".join(["Time,Parameter,Value", *rows])
        (folder / f"{132000 + stay}.csv").write_text(text + "\n")


def _event_log(folder: pathlib.Path) -> None:
    traces = "".join(
        f'<trace><string key="concept:name" value="c{i}"/>'
        + "".join(
            f'<event><string key="concept:name" value="{"ABC"[(i + k) % 3]}"/>'
            f'<date key="time:timestamp" value="2026-01-0{1 + k}T00:00:00Z"/></event>'
            for k in range(1 + i % 5)
        )
        + "</trace>"
        for i in range(SEQUENCES)
    )
    (folder / "log.xes").write_text(f"\ufeff<log>{traces}</log>", encoding="utf-8")


def _trace(attribute: str) -> bytes:
    return f'<log><trace><string key="concept:name" value="1"/>{attribute}</trace></log>'.encode()


def _pickled(folder: pathlib.Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros((2, 3)), np.zeros((4, 3))]
    np.savez(folder / "a.npz", x=ragged)


def _twice(folder: pathlib.Path) -> None:
    column = pa.array([1.0])
    pq.write_table(pa.Table.from_arrays([column, column], names=["x", "x"]), folder / "a.parquet")


def _truncated(folder: pathlib.Path) -> None:
    path = folder / "a.parquet"
    pq.write_table(pa.table({"x": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:900])


def _zipped(folder: pathlib.Path) -> None:
    (folder / "a.csv").write_text("id,x\n1,2\n")
    shutil.make_archive(str(folder / "a.csv"), "zip", folder, "a.csv")
    (folder / "a.csv").unlink()


def _iso(t: int) -> str:
    return f"2026-01-01T00:00:{t:02d}Z"


CASES: dict[str, tuple[Write, str, Reads | Says]] = {
    # Numbers.
    "decimal commas": (
        _table("a.csv", "id;t;x", lambda _, i, t, x: f"{i};{t};{str(x).replace('.', ',')}"),
        "a.csv",
        Reads(features=("x",), options={"decimal": ","}),
    ),
    "thousands and per cent": (
        _table("a.csv", "id,t,x,p", lambda _, i, t, x: f'{i},{t},"{5000 + x:,.1f}",{t} %'),
        "a.csv",
        Reads(features=("x", "p"), options={"decimal": "."}),
    ),
    **{
        f"missing as {text}": (
            _table(
                "a.csv",
                "id,t,x",
                lambda n, i, t, x, text=text: f"{i},{t},{text if n % 10 == 3 else x}",
            ),
            "a.csv",
            Reads(features=("x",), missing={"x": 0.1}, options={"missing_text": (text,)}),
        )
        for text in ("", "\\N", "#N/A", "--", "NA", "nan", "null")
    },
    "a number in a thousand is none": (
        _table("a.csv", "id,t,x", lambda n, i, t, x: f"{i},{t},{'oops' if n == 7 else x}"),
        "a.csv",
        Reads(features=("x",), sequences=SEQUENCES - 1, rejected=1, says="1 of 540 cells"),
    ),
    "words in each row": (
        _table("a.csv", "id,t,x,note", lambda n, i, t, x: f"{i},{t},{x},note {n}"),
        "a.csv",
        Reads(features=("x",), says="'note' is left out: 540 different words in 540 rows"),
    ),
    "types of Parquet": (
        _parquet(
            "a.parquet",
            lambda: {
                "run_id": [float(i // 4) for i in range(360)],
                "clock": pa.array(
                    [datetime.time(0, 0, i % 4) for i in range(360)], pa.time64("us")
                ),
                "half": np.arange(360).astype(np.float16),
                "wait": pa.array([i * 7 for i in range(360)], pa.duration("ms")),
                "price": pa.array([decimal.Decimal(i) / 100 for i in range(360)]),
                "__index_level_0__": list(range(360)),
            },
        ),
        "a.parquet",
        Reads(features=("half", "wait", "price"), options={"order_by": "clock"}),
    ),
    # Times.
    **{
        f"times as {stamp.format(t=1, d=2)}": (
            _table(
                "a.csv",
                "id;when;x",
                lambda _, i, t, x, s=stamp: f"{i};{s.format(t=t, d=t + 1)};{x}",
            ),
            "a.csv",
            Reads(features=("x",), options={"order_by": "when", "time_format": time_format}),
        )
        for stamp, time_format in {
            "27.11.2026 10:00:0{t}": "%d.%m.%Y %H:%M:%S",
            "11/27/2026 1:0{t} PM": "%m/%d/%Y %I:%M %p",
            "1{d}/03/2026": "%d/%m/%Y",
            "2026-11-27 10:00:0{t} UTC": None,
            "2026-11-27T10:00:0{t}+02:00": None,
            "20261127T10000{t}Z": "%Y%m%dT%H%M%S%z",
            "27 Nov 2026 10:00:0{t}": "%d %b %Y %H:%M:%S",
            "3{t}:15": "%H:%M",
        }.items()
    },
    "whole numbers that are days": (
        _table("a.csv", "id,date,x", lambda _, i, t, x: f"{i},{20260101 + t},{x}"),
        "a.csv",
        Reads(features=("x",), options={"order_by": "date", "time_format": "%Y%m%d"}),
    ),
    "a day beside a time": (
        _table(
            "a.csv",
            "id,date,time,x",
            lambda _, i, t, x: f"{i},0{1 + t // 3}.02.2026,{8 + t % 3}:30,{x}",
        ),
        "a.csv",
        Reads(
            features=("x",),
            options={"order_by": "time", "date": "date", "time_format": "%d.%m.%Y %H:%M"},
        ),
    ),
    "a day beside a time, of Parquet": (
        _parquet(
            "a.parquet",
            lambda: {
                "run_id": [i // 4 for i in range(360)],
                "date": [datetime.date(2026, 1, 1 + i % 4 // 2) for i in range(360)],
                "time": [datetime.time(i % 2) for i in range(360)],
                "x": [i / 7 for i in range(360)],
            },
        ),
        "a.parquet",
        Reads(features=("x",), options={"order_by": "time", "date": "date"}),
    ),
    **{
        f"times in {name}": (
            _table("a.csv", f"id,{name},x", lambda _, i, t, x: f"{i},{t},{x}"),
            "a.csv",
            Reads(features=("x",), options={"order_by": name, "time_unit": unit}),
        )
        for name, unit in {"minutes": "min", "hours": "h", "days": "d", "time_ms": "ms"}.items()
    },
    "a time in a thousand is none": (
        _table("a.csv", "id,when,x", lambda n, i, t, x: f"{i},{'no' if n == 7 else _iso(t)},{x}"),
        "a.csv",
        Reads(
            features=("x",),
            sequences=SEQUENCES - 1,
            rejected=1,
            says="1 of 540 cells are no times, such as 'no'",
        ),
    ),
    # Ids.
    "ids of one step or two": (
        _bytes(
            "a.csv",
            (
                "sequence_id,t,x\n"
                + "".join(
                    f"s{i},{t},{i + t / 3}\n"
                    for i in range(SEQUENCES)
                    for t in range(1 + i % 9 // 8)
                )
            ).encode(),
        ),
        "a.csv",
        Reads(features=("x",), options={"group_by": ("sequence_id",)}, steps=SEQUENCES + 10),
    ),
    "ids with a fraction": (
        _table("a.csv", "run_id,t,x", lambda _, i, t, x: f"{float(i[1:])},{t},{x}"),
        "a.csv",
        Reads(features=("x",), options={"group_by": ("run_id",)}),
    ),
    "ids with gaps": (
        _table("a.csv", "run,t,x", lambda _, i, t, x: f"{7 * int(i[1:])},{t},{x}"),
        "a.csv",
        Reads(features=("x",), options={"group_by": ("run",)}),
    ),
    "ids that are days": (
        _table(
            "a.csv",
            "session_date,t,x",
            lambda _, i, t, x: (
                f"{datetime.date(2026, 1, 1) + datetime.timedelta(int(i[1:]))},{t},{x}"
            ),
        ),
        "a.csv",
        Reads(features=("x",), options={"group_by": ("session_date",)}),
    ),
    "rows without an id": (
        _table("a.csv", "run_id,t,x", lambda n, i, t, x: f"{'' if n == 7 else i},{t},{x}"),
        "a.csv",
        Reads(features=("x",), rejected=1, steps=539, says="1 rows have no 'run_id'"),
    ),
    "the index of pandas": (
        _table("a.csv", ",id,t,x", lambda n, i, t, x: f"{n},{i},{t},{x}"),
        "a.csv",
        Reads(features=("x",), says="a column without a name"),
    ),
    # Sampling.
    "what varies late": (
        _late,
        "a.csv",
        Reads(features=("temp", "valve", "flow"), sequences=500, missing={"flow": 400 / 25_000}),
    ),
    "a measurement taken once in most sequences": (
        _table(
            "a.csv",
            "id,t,x,y",
            lambda n, i, t, x: f"{i},{t},{x},{n if t == 2 or (n > 500 and t == 4) else ''}",
        ),
        "a.csv",
        Reads(features=("x", "y"), missing={"y": 1 - 96 / 540}),
    ),
    "a segment of customers": (
        _table(
            "a.csv",
            "customer_id,t,x,segment",
            lambda n, i, t, x: f"{i},{t},{x},{'young' if int(i[1:]) % 2 else 'old'}",
        ),
        "a.csv",
        Reads(features=("x",), context=("segment",), options={"group_by": ("customer_id",)}),
    ),
    "units that begin again in each file": (
        _units_again,
        "*.csv",
        Reads(features=("x",), options={"group_by": ("{FILE}", "unit"), "entity": "{SEQUENCE}"}),
    ),
    # Shapes.
    "an event a line": (
        _lines(
            "a.jsonl",
            lambda n: {
                "user": f"u{n // 6}",
                "t": n % 6,
                "kind": "xyz"[n % 3],
                "bp": {"sys": n / 7, "dia": n / 9},
            },
            6 * SEQUENCES,
        ),
        "a.jsonl",
        Reads(
            features=("bp.sys", "bp.dia"),
            categories=("kind",),
            options={"group_by": ("user",), "order_by": "t"},
        ),
    ),
    "objects in records": (
        _lines("a.jsonl", lambda i: {"bp": {"sys": [i, 2.5]}, "who": {"age": i % 40}}),
        "a.jsonl",
        Reads(features=("bp.sys",), context=("who.age",)),
    ),
    "true and false of a sequence, in CSV": (
        _table("a.csv", "id,t,x,left", lambda _, i, t, x: f"{i},{t},{x},{i.endswith('1')}"),
        "a.csv",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a sequence, in lines": (
        _lines("a.jsonl", lambda i: {"x": [i / 7, 2.5], "left": i % 3 == 0}),
        "a.jsonl",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a sequence, in lines that are steps": (
        _lines(
            "a.jsonl",
            lambda n: {"user": f"u{n // 6}", "t": n % 6, "x": n / 7, "left": n // 6 % 3 == 0},
            6 * SEQUENCES,
        ),
        "a.jsonl",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a sequence, in Parquet": (
        _parquet(
            "a.parquet",
            lambda: {
                "run_id": [i // 4 for i in range(360)],
                "t": [i % 4 for i in range(360)],
                "x": [i / 7 for i in range(360)],
                "left": [i // 4 % 3 == 0 for i in range(360)],
            },
        ),
        "a.parquet",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a sequence, in lists in Parquet": (
        _parquet(
            "a.parquet",
            lambda: {
                "x": [[i / 7, 2.5] for i in range(SEQUENCES)],
                "left": [i % 3 == 0 for i in range(SEQUENCES)],
            },
        ),
        "a.parquet",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a sequence, in arrays": (
        lambda folder: np.savez(
            folder / "a.npz",
            x=np.arange(2.0 * SEQUENCES) / 7,
            lengths=np.full(SEQUENCES, 2),
            left=np.arange(SEQUENCES) % 3 == 0,
        ),
        "a.npz",
        Reads(features=("x",), context=("left",)),
    ),
    "true and false of a trace": (
        _bytes("a.xes", _xes_of_flags().encode()),
        "a.xes",
        Reads(features=("cost",), context=("left",)),
    ),
    "objects in steps": (
        _lines("a.jsonl", lambda i: {"events": [{"t": k, "bp": {"sys": i + k}} for k in (0, 1)]}),
        "a.jsonl",
        Reads(features=("bp.sys",), options={"order_by": "t"}),
    ),
    "a key of record and steps": (
        _lines("a.jsonl", lambda i: {"cost": i, "steps": [{"cost": i / 7}, {"cost": 2.5}]}),
        "a.jsonl",
        Reads(features=("cost",), says="'cost' is left out: the steps have a column of that name"),
    ),
    "a feature called steps": (
        _lines("a.jsonl", lambda i: {"steps": [1, 5, 9 + i], "hr": [i, 1.5, 2]}),
        "a.jsonl",
        Reads(features=("steps", "hr")),
    ),
    "a separator of lines in a string": (
        _lines("a.jsonl", lambda i: {"label": "a\u2028b" if i % 2 else "c", "x": [i, 2.5]}),
        "a.jsonl",
        Reads(features=("x",), context=("label",)),
    ),
    "a line of more than a MiB": (
        _lines("a.jsonl", lambda i: {"x": [i + 0.123456789] * (100_000 if i < 2 else 3)}),
        "a.jsonl",
        Reads(features=("x",), steps=2 * 100_000 + 88 * 3, sequences=138),
    ),
    "a measurement a row": (
        _measured,
        "*.csv",
        Reads(
            features=("HR", "Temp"),
            context=("Age",),
            options={"variable": "Parameter", "value": "Value", "time_format": "%H:%M"},
            missing={"HR": 4 / 12, "Temp": 8 / 12},
            steps=12 * SEQUENCES,
        ),
    ),
    "measurements by code, of Parquet": (
        _parquet(
            "a.parquet",
            lambda: {
                "stay_id": [i // 8 for i in range(720)],
                "charttime": [
                    datetime.datetime(2026, 1, 1) + datetime.timedelta(minutes=i % 8 // 2)
                    for i in range(720)
                ],
                "itemid": [211 + i % 2 for i in range(720)],
                "valuenum": [i / 7 for i in range(720)],
            },
        ),
        "a.parquet",
        Reads(features=("211", "212"), options={"variable": "itemid"}, steps=4 * SEQUENCES),
    ),
    "measurements as events": (
        _lines(
            "a.jsonl",
            lambda n: {
                "patient": f"p{n // 8}",
                "minutes": n % 8 // 2,
                "signal": ("hr", "sys")[n % 2],
                "value": n / 7,
            },
            8 * SEQUENCES,
        ),
        "a.jsonl",
        Reads(features=("hr", "sys"), options={"variable": "signal"}, steps=4 * SEQUENCES),
    ),
    "a label beside values": (
        _table(
            "a.csv", "id,t,value,label", lambda _, i, t, x: f"{i},{t},{x},{'ab'[int(i[1:]) % 2]}"
        ),
        "a.csv",
        Reads(features=("value",), context=("label",)),
    ),
    "a time in a thousand is missing": (
        _table("a.csv", "id,t,x", lambda n, i, t, x: f"{i},{'' if n == 7 else t},{x}"),
        "a.csv",
        Reads(features=("x",), sequences=SEQUENCES - 1, rejected=1, options={"order_by": "t"}),
    ),
    "several files without a header": (
        lambda folder: [
            (folder / f"{name}.txt").write_text(
                "".join(f"{u} {c} {u / 7 + c:.3f}  \n" for u in range(1, 46) for c in range(1, 6))
            )
            for name in "ab"
        ],
        "*.txt",
        Reads(features=("column_2",), options={"group_by": ("{FILE}", "column_0")}),
    ),
    "fields in the names of files": (
        _files,
        "*.csv",
        Reads(features=("pressure",), options={"entity": "pump", "group_by": ("{FILE}",)}),
    ),
    "fields in the pattern": (
        _files,
        "{machine}_{n}.csv",
        Reads(features=("pressure",), options={"entity": "machine", "group_by": ("{FILE}",)}),
    ),
    "no header, and runs of blanks": (
        _table("a.txt", "", lambda _, i, t, x: f"  {i[1:]:>3}   {t}\t{x}   {x * 2:.3f}  "),
        "a.txt",
        Reads(
            features=("column_2", "column_3"),
            options={"group_by": ("column_0",), "order_by": "column_1", "delimiter": " "},
        ),
    ),
    "a table that is called .txt": (
        _table("a.txt", "id;t;x", lambda _, i, t, x: f"{i};{t};{x}"),
        "a.txt",
        Reads(features=("x",)),
    ),
    "padded arrays with lengths": (
        lambda folder: np.savez(
            folder / "a.npz", values=_padded(0.0)[0], length=_padded(0.0)[1], label=[*"ab"] * 45
        ),
        "a.npz",
        Reads(
            features=("feature_0", "feature_1", "feature_2"),
            context=("label",),
            steps=int(_padded(0.0)[1].sum()),
        ),
    ),
    **{
        f"arrays padded with {padding}": (
            lambda folder, padding=padding: np.savez(folder / "a.npz", values=_padded(padding)[0]),
            "a.npz",
            Reads(
                features=("feature_0", "feature_1", "feature_2"),
                steps=int(_padded(padding)[1].sum()),
            ),
        )
        for padding in (0.0, float("nan"))
    },
    "activity and time alone": (
        _table(
            "a.csv",
            "case:concept:name,concept:name,time:timestamp",
            lambda n, i, t, _: f"{i},{'ABC'[n % 3]},{_iso(t)}",
        ),
        "a.csv",
        Reads(features=("time_delta",), categories=("concept:name",)),
    ),
    "an event log after a byte order mark": (
        _event_log,
        "log.xes",
        Reads(features=("time_delta",), categories=("concept:name",)),
    ),
    # One parser.
    "lines that end in carriage returns": (
        _bytes(
            "a.csv",
            ("id,t,x\r" + "".join(f"{i},{t},{x}\r" for i, t, x in ROWS)).encode(),
        ),
        "a.csv",
        Reads(features=("x",)),
    ),
    "delimiters in quotes": (
        _table("a.csv", "id,t,x,note", lambda n, i, t, x: f'{i},{t},{x},"a;b;c;d;{n % 3}"'),
        "a.csv",
        Reads(features=("x",), categories=("note",)),
    ),
    "a byte order mark before JSON": (
        _bytes("a.jsonl", b"\xef\xbb\xbf" + b'{"x": [1, 2.5]}\n' * SEQUENCES),
        "a.jsonl",
        Reads(features=("x",)),
    ),
    "blanks, tabs and nan in .ts": (
        _bytes(
            "a.ts",
            b"\xef\xbb\xbf@problemName\tx\n@univariate true\n@classLabel true a b\n@data\n"
            + b"1,\t2 , 3.5 :\ta \n4, NAN,nan: b\n" * 45,
        ),
        "a.ts",
        Reads(features=("feature_0",), context=("label",), missing={"feature_0": 2 / 6}),
    ),
    # One sentence.
    "an empty file of Parquet": (_bytes("a.parquet", b""), "*", Says(parts=("0 bytes",))),
    "an empty archive": (_bytes("a.npz", b""), "*", Says(parts=("0 bytes",))),
    "an empty log": (_bytes("a.xes", b""), "*", Says(parts=("0 bytes",))),
    "an empty table": (_bytes("a.csv", b""), "*", Says(parts=("expected a header",))),
    "a header alone": (_bytes("a.csv", b"id,x\n"), "*", Says(parts=("expected rows",))),
    "a truncated file": (_truncated, "*", Says(parts=("whole Parquet file",))),
    "a truncated archive of lines": (
        _bytes("a.csv.gz", lambda: gzip.compress(bytes(range(256)) * 99)[:200]),
        "*",
        Says(parts=("Truncated",)),
    ),
    "a pointer of Git LFS": (
        _bytes("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "*",
        Says(parts=("git lfs pull",)),
    ),
    "a column that stands twice": (_twice, "*", Says(parts=("'x' stands there twice",))),
    "an array of objects": (_pickled, "*", Says(parts=("pickled", "np.savez("))),
    "arrays of several widths": (
        lambda folder: np.savez(folder / "a.npz", a=np.zeros((3, 2)), b=np.zeros((3, 3))),
        "*",
        Says(parts=("[3, 2]", "np.savez(")),
    ),
    "a zipped table": (_zipped, "*.zip", Says(parts=("zip archive", "unzip"))),
    "a log with a document type": (
        _bytes("a.xes", b'<!DOCTYPE log [<!ENTITY a "b">]><log/>'),
        "*",
        Says(parts=("line 1", "document type")),
    ),
    "a log that is cut off": (_bytes("a.xes", b"<log><trace>"), "*", Says(parts=("line 1",))),
    "an integer without a value": (
        _bytes("a.xes", _trace('<event><int key="n" value=""/></event>')),
        "*",
        Says(parts=("'n' is left out",), exit_code=exits.BAD_CONFIG),
    ),
    "ARFF without attributes": (
        _bytes("a.arff", b"% c\n@RELATION x\n@data\n1,2\n"),
        "*",
        Says(parts=("expected attributes",)),
    ),
    "Avro that is cut off": (_bytes("a.avro", b"Obj\x01"), "*", Says(parts=("whole Avro file",))),
    "a web page": (_bytes("a.csv", b"<!DOCTYPE html><html>"), "*", Says(parts=("web page",))),
    "text in UTF-16": (
        _bytes("a.csv", "id,x\n1,2\n".encode("utf-16")),
        "*",
        Says(parts=("UTF-16", "iconv")),
    ),
    "text in Latin-1": (
        _bytes("a.csv", "id,größe\n1,2\n".encode("latin-1")),
        "*",
        Says(parts=("line 1", "UTF-8")),
    ),
    "remarks before a header": (
        _bytes("a.csv", b"Logger: 7\n\nid,t,x\n" + b"a,1,2\n" * 9),
        "*",
        Says(parts=("'Logger: 7'", "in line 3", "tail -n +3")),
    ),
    "steps in columns": (
        _bytes("a.csv", b"name,t0,t1,t2,t3,t4\n" + b"a,1,2,3,4,5\n" * 9),
        "*",
        Says(parts=("'t0' to 't4'", "melt"), exit_code=exits.BAD_CONFIG),
    ),
    "a list of objects": (_bytes("a.json", b'[{"x": 1}]'), "*", Says(parts=("jq -c",))),
    "an object of several lines": (
        _bytes("a.jsonl", json.dumps({"x": [1, 2]}, indent=2).encode()),
        "*",
        Says(parts=("line 1", "jq -c")),
    ),
    "times in .ts": (
        _bytes("a.ts", b"@timeStamps true\n@data\n(0,1.5),(1,2)\n"),
        "*",
        Says(parts=("@timeStamps", "CSV")),
    ),
    "two formats": (
        lambda folder: [(folder / n).write_text("id,x\n1,2\n") for n in ("a.csv", "b.jsonl")],
        "*",
        Says(parts=("one format", "b.jsonl as jsonl")),
    ),
}
