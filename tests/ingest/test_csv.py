"""Long CSV: rows in, Rows or rejected rows out; the fast reading and the exact one agree."""

import csv as stdlib_csv
import gzip
import io
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import csv
from ragline.components.ingest.formats.parsing import csv_lines, table, texts
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.chunk import File

COLUMNS = Columns(
    features=(
        Feature(name="ax", unit=None, allow_missing=False),
        Feature(name="ay", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "weight": "float", "age": "int"},
)
OPTIONS = InputOptions(train="x", group_by=("id",))
WORDS = Columns(
    features=COLUMNS.features[:1],
    context={},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
)


def file_at(path, name="a.csv"):
    return File(path=str(path), name=name, index=3, format="csv", split="train")


def read(tmp_path, text, columns=COLUMNS, options=OPTIONS, name="a.csv", piece_bytes=1 << 25):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    pieces = csv.Csv().pieces(file_at(path), columns, options, piece_bytes)
    return [rows for piece in pieces for rows in csv.Csv().rows(piece, columns, options)]


def told(all_rows):
    """Rows as plain tuples, and the rejected ones."""
    kept = [
        (
            int(rows.number[i]),
            rows.sequence_id[i],
            *(column[i] for column in rows.values.values()),
        )
        for rows in all_rows
        for i in range(len(rows))
    ]
    rejected = [
        (bad.number, bad.code, bad.sequence_id) for rows in all_rows for bad in rows.rejected
    ]
    return kept, rejected


def test_rows_of_a_plain_file(tmp_path):
    [rows] = read(tmp_path, "id,ax,ay,label,weight,age,more\na,1,2,x,.5,7,\nb,3,NaN,,NaN,,z\n")
    assert rows.file == 3
    assert rows.split == "train"
    assert rows.number.tolist() == [2, 3]
    assert rows.sequence_id.tolist() == ["a", "b"]
    assert rows.entity_id is None
    np.testing.assert_array_equal(rows.values["ax"], [1.0, 3.0])
    np.testing.assert_array_equal(rows.values["ay"], [2.0, np.nan])
    assert rows.values["ax"].dtype == np.float64
    assert rows.time is None
    assert rows.context["label"].tolist() == ["x", None]
    assert rows.context["weight"].tolist() == [0.5, None]
    assert rows.context["age"].tolist() == [7, None]
    assert rows.rejected == ()


@pytest.mark.parametrize(
    ("code", "row", "sequence_id"),
    [
        ("ragged", "a,1", "a"),
        ("ragged", "a,1,5,2", "a"),
        ("ragged", '"a"x,1,2', 'a"x'),
        ("number_format", 'a,"1,5",2', "a"),
        ("number_format", "a,1_000,2", "a"),
        ("number_format", "a,٣,2", "a"),
        ("number_format", "a,0x10,2", "a"),
        ("number_format", "a,1e400,2", "a"),
        ("number_format", "a,+-1,2", "a"),
        ("number_format", "a,,2", "a"),
        ("number_format", "a, 1,2", "a"),
        ("number_format", "a,1 ,2", "a"),
        ("number_format", "a,nan,2", "a"),
        ("number_format", "a,inf,2", "a"),
        ("number_format", "a,one,2", "a"),
        ("encoding", b"a,1\xff,2", "a"),
        ("encoding", b"\xff,1,2", None),
        ("null", ",1,2", None),
        ("null", "NaN,1,2", None),
        ("null", ",,", None),
    ],
)
def test_a_bad_row_costs_itself_and_says_whose_it_is(tmp_path, code, row, sequence_id):
    row = row if isinstance(row, bytes) else row.encode()
    clean, _ = told(read(tmp_path, b"id,ax,ay\nb,1,2\n\nb,5,6\n"))
    kept, rejected = told(read(tmp_path, b"id,ax,ay\nb,1,2\n" + row + b"\nb,5,6\n"))
    assert kept == clean == [(2, "b", 1.0, 2.0), (4, "b", 5.0, 6.0)]
    assert rejected == [(3, code, sequence_id)]


def test_the_quarantine_shows_the_row_as_it_stood(tmp_path):
    for row in (b'a,"1,5",2', b"a,1", b"a,1\xff,2"):
        [rows] = read(tmp_path, b"id,ax,ay\r\n" + row + b"\r\n")
        assert rows.rejected[0].text == row.decode("utf-8", "replace")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path, delimiter):
    text = "id,ax,ay\na,1,2\n".replace(",", delimiter)
    kept, rejected = told(read(tmp_path, text))
    assert (kept, rejected) == ([(2, "a", 1.0, 2.0)], [])


def test_a_stated_delimiter_is_taken(tmp_path):
    options = InputOptions(train="x", group_by=("id",), delimiter=":")
    kept, _ = told(read(tmp_path, "id:ax:ay\n1,2:1:2\n", options=options))
    assert kept == [(2, "1,2", 1.0, 2.0)]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfid,ax,ay\na,1,2\nb,3,4\n",
        b"id,ax,ay\r\na,1,2\r\nb,3,4\r\n",
        b"id,ax,ay\na,1,2\nb,3,4",
        b'"id","ax","ay"\n"a","1",2\nb,3,4\n',
        b"ay,no,id,ax\n2,\xc3\xa4,a,1\n4,,b,3\n",
    ],
)
def test_spellings_of_the_same_rows(tmp_path, text):
    assert told(read(tmp_path, text)) == ([(2, "a", 1.0, 2.0), (3, "b", 3.0, 4.0)], [])


@pytest.mark.parametrize(("suffix", "codec"), [(".gz", "gzip"), (".bz2", "bz2"), (".zst", "zstd")])
def test_compressed_files(tmp_path, suffix, codec):
    path = tmp_path / f"a.csv{suffix}"
    with pa.CompressedOutputStream(str(path), codec) as stream:
        stream.write(b"id,ax,ay\na,1,2\nb,3,4\n")
    [piece] = csv.Csv().pieces(file_at(path), COLUMNS, OPTIONS, 1)
    kept, _ = told(csv.Csv().rows(piece, COLUMNS, OPTIONS))
    assert kept == [(2, "a", 1.0, 2.0), (3, "b", 3.0, 4.0)]


def test_a_truncated_gzip_stops_the_run(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,ax,ay\n" + b"a,1,2\n" * 1000)[:-9])
    with pytest.raises(BadDataError, match="unreadable"):
        for piece in csv.Csv().pieces(file_at(path), COLUMNS, OPTIONS, 1):
            list(csv.Csv().rows(piece, COLUMNS, OPTIONS))


def test_numbers_of_rows_count_the_lines_inside_quotes_and_blank_ones(tmp_path):
    text = 'id,ax,ay,label\na,1,2,"x\ny\n""z"""\n\nb,3,4,w\n\n'
    [rows] = read(tmp_path, text)
    assert rows.number.tolist() == [2, 6]
    assert rows.context["label"].tolist() == ['x\ny\n"z"', "w"]


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path):
    kept, rejected = told(read(tmp_path, 'id,ax,ay\na,1,2\nb,"3,4\nc,5,6\n'))
    assert kept == [(2, "a", 1.0, 2.0), (4, "c", 5.0, 6.0)]
    assert rejected == [(3, "ragged", "b")]


def test_rows_over_the_edge_of_a_block(tmp_path, monkeypatch):
    lines = [f'a{i},{i},{-i},"x\ny{i}"' for i in range(50)]
    text = "id,ax,ay,label\n" + "\n".join(lines) + "\n"
    whole = told(read(tmp_path, text))
    assert len(whole[0]) == 50
    for size in (1, 7, 20, 64):
        monkeypatch.setattr(csv, "BLOCK", size)
        assert told(read(tmp_path, text)) == whole


@pytest.mark.parametrize("quoted", [False, True])
def test_pieces_are_read_as_the_whole_is(tmp_path, monkeypatch, quoted):
    quote = '"' if quoted else ""
    text = "id,ax,ay\n" + "".join(f"{quote}s{i}{quote},{i},{-i}\n" for i in range(100))
    whole = told(read(tmp_path, text))
    assert [row[0] for row in whole[0]] == list(range(2, 102))
    monkeypatch.setattr(csv, "BLOCK", 100)
    path = tmp_path / "a.csv"
    pieces = csv.Csv().pieces(file_at(path), COLUMNS, OPTIONS, 300)
    assert len(pieces) > 3
    assert sum(piece.size for piece in pieces) == path.stat().st_size - len("id,ax,ay\n")
    assert told(read(tmp_path, text, piece_bytes=300)) == whole


def test_a_file_is_not_cut_after_a_line_end_in_quotes(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "BLOCK", 64)
    plain = "".join(f"s{i},{i},{-i}\n" for i in range(20))
    text = "id,ax,ay\n" + plain + '"x\nb,1,2\n",1,2\n' + plain
    path = tmp_path / "a.csv"
    path.write_text(text)
    pieces = csv.Csv().pieces(file_at(path), COLUMNS, OPTIONS, 64)
    assert len(pieces) > 1
    assert pieces[-1].start < text.index('"x') and pieces[-1].stop is None
    kept, rejected = told(read(tmp_path, text, piece_bytes=64))
    assert len(kept) == 41 and not rejected
    assert kept[20][:2] == (22, "x\nb,1,2\n")


def test_several_columns_name_a_sequence_and_the_first_its_entity(tmp_path):
    options = InputOptions(train="x", group_by=("who", "day"))
    text = "who,day,ax,ay\na/b,1,1,2\na,b/1,1,2\n%2F,1,3,4\na/b,1,3,4\n"
    [rows] = read(tmp_path, text, options=options)
    assert rows.sequence_id.tolist() == ["a%2Fb/1", "a/b%2F1", "%252F/1", "a%2Fb/1"]
    assert rows.entity_id.tolist() == ["a/b", "a", "%2F", "a/b"]
    [rows] = read(tmp_path, "who,day,ax,ay\na,,1,2\n", options=options)
    assert [(bad.code, bad.sequence_id) for bad in rows.rejected] == [("null", None)]


def test_the_entity_is_the_stated_column_or_entity_id(tmp_path):
    text = "id,entity_id,p,ax,ay\na,e,f,1,2\n"
    [rows] = read(tmp_path, text)
    assert rows.entity_id.tolist() == ["e"]
    options = InputOptions(train="x", group_by=("id",), entity="p")
    [rows] = read(tmp_path, text, options=options)
    assert rows.entity_id.tolist() == ["f"]


def test_missing_texts(tmp_path):
    options = InputOptions(train="x", group_by=("id",), missing_text=("", "-999"))
    [rows] = read(tmp_path, "id,ax,ay\na,,-999\nb,NaN,1\n", options=options)
    assert np.isnan(rows.values["ax"]).tolist() == [True]
    assert np.isnan(rows.values["ay"]).tolist() == [True]
    assert [(bad.number, bad.code) for bad in rows.rejected] == [(3, "number_format")]


def test_categories(tmp_path):
    text = "id,ax,word,code\na,1,go,+5\na,1,,0x1\na,1,?,NaN\na,1,NaN,7\na,1,x,9223372036854775808\n"
    [rows] = read(tmp_path, text, columns=WORDS)
    assert rows.values["word"].tolist() == ["go", ""]
    assert rows.values["code"].tolist() == [5, 7]
    assert [(bad.number, bad.code) for bad in rows.rejected] == [
        (3, "number_format"),
        (4, "null"),
        (6, "int_overflow"),
    ]


@pytest.mark.parametrize(
    ("cell", "unit", "expected"),
    [
        ("5", "ms", 5_000_000),
        ("-1", "s", -1_000_000_000),
        ("1700000000123456789", "ns", 1_700_000_000_123_456_789),
        ("1.5", "s", 1_500_000_000),
        ("1970-01-01T00:00:01Z", "s", 1_000_000_000),
        ("", "s", "null"),
        ("9223372036854775808", "ns", "int_overflow"),
        ("9223372036854775807", "s", "int_overflow"),
        ("1e300", "s", "int_overflow"),
        ("soon", "s", "number_format"),
        ("2024-02-30", "s", "number_format"),
    ],
)
def test_times(tmp_path, cell, unit, expected):
    options = InputOptions(train="x", group_by=("id",), order_by="t", time_unit=unit)
    [rows] = read(tmp_path, f"id,t,ax,ay\na,0,1,2\na,{cell},1,2\n", options=options)
    codes = [bad.code for bad in rows.rejected]
    assert codes == ([expected] if isinstance(expected, str) else [])
    assert rows.time.tolist() == ([0] if codes else [0, expected])
    assert rows.time.dtype == np.int64


def test_a_bad_context_cell_rejects_its_row(tmp_path):
    text = "id,ax,ay,weight,age\na,1,2,1e39,1\na,1,2,x,1\na,1,2,1,1.5\n"
    [rows] = read(tmp_path, text)
    assert not len(rows)
    codes = [bad.code for bad in rows.rejected]
    assert codes == ["non_finite", "number_format", "number_format"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"id,ax\na,1\n", "missing_column", "'ay'"),
        (b"x;y\n1;2\n", "missing_column", "'id'"),
        (b"id,ax,ax,ay\n", "bad_header", "'ax' stands there twice"),
        (b"id,ax,ay\xff\n", "bad_header", "UTF-8"),
        (b'id,ax,"ay\n1,2,3\n', "bad_header", "unexpected end of data"),
        (b"", "no_data", "no line"),
        (b"x" * (1 << 20), "bad_header", "a line of less than"),
    ],
)
def test_a_file_without_a_good_header_stops_the_run(tmp_path, text, code, said):
    with pytest.raises(BadDataError, match=said) as caught:
        read(tmp_path, text)
    assert caught.value.code == code
    assert "a.csv" in str(caught.value)


def test_rows_of_csv_must_be_grouped(tmp_path):
    with pytest.raises(BadDataError, match=r"input\.group_by"):
        read(tmp_path, "id,ax,ay\n", options=InputOptions(train="x"))


def test_a_file_of_a_header_alone_has_no_rows(tmp_path):
    assert read(tmp_path, "id,ax,ay\n") == []


# That the two ways of reading agree.

HEADER = csv_lines.Header(names=("id", "ax", "ay", "label"), delimiter=",")
LAYOUT = table.layout(HEADER.names, COLUMNS, OPTIONS, "a.csv")
CELL = st.one_of(
    st.sampled_from(
        ["", "a", "1", "-2.5e3", "NaN", " 1", '"b,c"', '""', '"x"', "é", "\x00", "0x1"]
    ),
    st.text("ab1 .é\x00;", max_size=4),
)
ROW = st.lists(CELL, min_size=4, max_size=4).map(",".join)
BLOCK = st.lists(ROW, min_size=1, max_size=6).flatmap(
    lambda rows: st.sampled_from(["\n", "\r\n"]).map(lambda end: (end.join(rows) + end).encode())
)
MUTATION = st.tuples(
    st.integers(0, 80),
    st.integers(0, 2),
    st.sampled_from([b'"', b"\n", b"\r", b",", b"\xff", b"a"]),
)


def mutated(block, mutations):
    for place, length, put in mutations:
        place = min(place, len(block))
        block = block[:place] + put + block[place + length :]
    return block


@settings(max_examples=sampled(400), deadline=None)
@given(block=BLOCK, mutations=st.lists(MUTATION, max_size=3))
@example(block=b'a,"1",2,x\n', mutations=[])
@example(block=b"a,1,2,x\n\n", mutations=[])
def test_what_is_read_fast_is_read_exactly_so(block, mutations):
    block = mutated(block, mutations)
    fast = csv_lines.read_clean(block, 5, HEADER, LAYOUT)
    exact, left = csv_lines.read_exactly(block, 5, HEADER, LAYOUT, last=True)
    assert left == b""
    if fast is None:
        return
    assert not exact.rejected
    assert fast.number.tolist() == exact.number.tolist()
    for name in LAYOUT.all:
        assert fast.cells[name].to_pylist() == exact.cells[name].to_pylist()
    raw = [lines.raw(i) for lines in (fast, exact) for i in range(len(lines.number))]
    assert raw[: len(raw) // 2] == raw[len(raw) // 2 :]


@settings(max_examples=sampled(50), deadline=None)
@given(rows=st.lists(st.lists(st.text('ab1,\n"é', max_size=5), min_size=4, max_size=4), min_size=1))
def test_what_the_standard_library_writes_is_read(rows):
    rows = [["i", *row[1:]] for row in rows]
    text = io.StringIO()
    stdlib_csv.writer(text, lineterminator="\n").writerows(rows)
    exact, _ = csv_lines.read_exactly(text.getvalue().encode(), 1, HEADER, LAYOUT, last=True)
    assert not exact.rejected
    assert exact.cells["label"].to_pylist() == [row[3] for row in rows]


def test_plain_and_plainly_quoted_blocks_are_read_fast():
    for block in (b"a,1,2,x\nb,3,4,y\n", b'"a",1,2,"x,y"\r\n"b",3,4,""\r\n', b"a,1,2,x"):
        assert csv_lines.read_clean(block, 1, HEADER, LAYOUT) is not None


@settings(max_examples=sampled(300), deadline=None)
@given(block=BLOCK, mutations=st.lists(MUTATION, max_size=4))
def test_every_line_is_accounted_for(block, mutations):
    block = mutated(block, mutations)
    exact, _ = csv_lines.read_exactly(block, 1, HEADER, LAYOUT, last=True)
    texts_of = {bad.number: bad.text for bad in exact.rejected}
    for place, number in enumerate(exact.number.tolist()):
        assert number not in texts_of
        texts_of[number] = exact.raw(place).decode()
    told_of = "\n".join(texts_of[number] for number in sorted(texts_of))
    assert lines_of(told_of) == lines_of(block.decode("utf-8", "replace"))


def lines_of(text):
    return [line for line in text.replace("\r", "").split("\n") if line]


NUMBER = st.one_of(
    st.text("0123456789+-.eE", max_size=8),
    st.text("0123456789+-.eE_ xXafinFINty,٣\x00", max_size=6),
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["1e400", "infinity", "-nan", "+1", "1.", ".5", ".", "1e-400", "0" * 400]),
)


@settings(max_examples=sampled(400), deadline=None)
@given(cells=st.lists(NUMBER, min_size=1, max_size=3))
def test_numbers_are_those_of_the_strict_grammar(cells):
    faults = Faults(records=len(cells))
    parsed = texts.numbers(
        "ax", pa.array(cells, pa.string()), pa.array(["?", "NaN"], pa.string()), faults
    )
    for place, cell in enumerate(cells):
        try:
            [expected] = checks.parse_numbers(cell.encode())
        except (checks.RejectedRecord, ValueError):
            assert faults.rejects[place].code == "number_format"
        else:
            assert place not in faults.rejects
            assert parsed[place] == expected or (math.isnan(expected) and math.isnan(parsed[place]))


@settings(max_examples=sampled(300), deadline=None)
@given(cells=st.lists(NUMBER, min_size=1, max_size=3))
def test_integers_are_decimal_and_fit(cells):
    faults = Faults(records=len(cells))
    parsed = texts.integers("code", pa.array(cells, pa.string()), faults).to_pylist()
    for place, cell in enumerate(cells):
        digits = cell[1:] if cell[:1] in ("+", "-") else cell
        if not (digits.isascii() and digits.isdigit()):
            assert faults.rejects[place].code == "number_format"
        elif not -(2**63) <= int(cell) < 2**63:
            assert faults.rejects[place].code == "int_overflow"
        else:
            assert parsed[place] == int(cell)
