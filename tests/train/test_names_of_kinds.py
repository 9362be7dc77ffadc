"""The kinds of values of a column are known to one module: nothing outside it compares one."""

import pytest
from train.compared_names import breaches, named

from ragline.components.contract import kinds
from ragline.components.contract.columns import Category

NAMES = {kinds.TEXT, kinds.INTEGER, kinds.NUMBER}
# Beside its folder: the tags of XES, which have two of the names; numbers of bytes; and the cells
# that `init` looks at, which have kinds of their own before there is a column.
OWN = (
    "components/contract/kinds/",
    "components/ingest/formats/xes.py",
    "components/ingest/samples/xes.py",
    "pipeline/bulk/encode_files.py",
    "pipeline/onboard/guessing/cells.py",
)


def test_no_module_compares_a_kind() -> None:
    assert breaches(NAMES, OWN) == []


@pytest.mark.parametrize(
    "breach",
    [
        "if category.kind == 'bytes': pass",
        "labels = [n for n, kind in context.items() if kind != 'float']",
        "TYPES = {'bytes': object, 'int': int}",
    ],
)
def test_a_comparison_is_seen(breach: str) -> None:
    assert len(list(named(breach, NAMES))) >= 1


def test_what_is_given_for_a_kind_is_chosen() -> None:
    for kind, choice in (("bytes", 1), ("int", 2), ("float", 3)):
        assert kinds.pick(kind, text=1, integer=2, number=3) == choice
    with pytest.raises(KeyError):
        kinds.pick("double", text=1, integer=2, number=3)
    words, ids = (Category(name="x", kind=kind) for kind in (kinds.TEXT, kinds.INTEGER))
    assert (words.pick(words="w", ids="i"), ids.pick(words="w", ids="i")) == ("w", "i")
    assert (words.allow_missing, ids.allow_missing) == (True, False)
