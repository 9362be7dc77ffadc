import pytest

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.evaluate.metrics import slices


def test_the_columns_are_those_with_few_values():
    columns = Columns.from_schema(schemas.load("gestures"))
    assert set(slices.columns_of(columns)) >= {"length_bucket", "label"}
    context = {"label": "bytes", "age": "int", "weight": "float"}
    columns = Columns(features=columns.features, context=context, has_missing_bucket=True)
    expected = ("length_bucket", "missing_bucket", "label", "age")
    assert slices.columns_of(columns) == expected


@pytest.mark.parametrize(
    ("value", "name"), [(b"8-15", "c=8-15"), (7, "c=7"), (b"\xff", "c=\ufffd")]
)
def test_name_of(value, name):
    assert slices.name_of("c", value) == name


def test_slices_come_overall_first_and_ranges_by_their_lower_bound():
    counts = dict.fromkeys(["b=16-31", "a=x", "overall", "b=8-15", "b=1"], 5.0)
    kept, sentences = slices.most_common(counts)
    assert kept == ["overall", "a=x", "b=1", "b=8-15", "b=16-31"]
    assert sentences == []


def test_the_rarest_of_too_many_are_left_out_and_told():
    counts = {"overall": 999.0} | {f"c={value}": float(100 - value) for value in range(25)}
    kept, sentences = slices.most_common(counts)
    assert kept == ["overall", *(f"c={value}" for value in range(20))]
    assert sentences == [
        "c has 25 values: the 20 with the most sequences have metrics of their own, 5 with at most "
        "80 sequences each have none"
    ]
