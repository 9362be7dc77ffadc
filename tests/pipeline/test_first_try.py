"""What people have, as it is: `init` and `plan` without an edit read it, or say one sentence.

`situations` writes each one, and says what is right: so many sequences, these features, categories
and context, grouped and ordered so. `../shared/cases` holds further ones, which are tried where
they are there.
"""

import pathlib

import pytest
from situations import CASES, Reads, Says

from ragline.components.contract import exits
from ragline.pipeline import config
from ragline.pipeline.cli.main import main
from ragline.pipeline.onboard import plan


def _init(pattern: pathlib.Path, output: pathlib.Path) -> tuple[int, str]:
    done = main(["init", "--input", str(pattern), "--output", str(output)])
    return done, str(output)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if isinstance(case[2], Reads)])
def test_what_people_have_is_read(tmp_path, capsys, name):
    write, pattern, expected = CASES[name]
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    output = tmp_path / "c.toml"
    done, _ = _init(tmp_path / "data" / pattern, output)
    said = capsys.readouterr().err
    assert done == exits.DONE, said
    assert expected.says in said
    loaded = config.load(output)
    for key, value in expected.options.items():
        assert getattr(loaded.input, key) == value, key
    preview = plan.plan_run(loaded).preview
    assert sum(preview.reasons.values()) == expected.rejected, preview.bad
    assert len(preview.lengths) == expected.sequences
    assert tuple(column.name for column in preview.columns) == expected.features
    assert tuple(preview.categories) == expected.categories
    assert tuple(preview.context) == expected.context
    for column in preview.columns:
        missing = column.missing / column.steps
        assert missing == pytest.approx(expected.missing.get(column.name, 0.0), abs=2e-3)
    if expected.steps is not None:
        assert int(preview.lengths.sum()) == expected.steps
    assert preview.share == 1.0
    assert "everywhere" not in said


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if isinstance(case[2], Says)])
def test_what_cannot_be_read_ends_in_one_sentence(tmp_path, capsys, name):
    write, pattern, expected = CASES[name]
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    output = tmp_path / "c.toml"
    done, _ = _init(tmp_path / "data" / pattern, output)
    said = capsys.readouterr().err
    assert done == expected.exit_code
    assert all(part in said for part in expected.parts), said
    if done == exits.BAD_DATA:
        assert any(str(path) in said for path in (tmp_path / "data").iterdir()), said
    assert "--output" not in said and "Traceback" not in said
    assert not output.exists()


# Pattern -> sequences, or the words of the sentence; as README.md there has it.
SHARED_CASES: dict[str, int | str] = {
    "wide/*.csv": 160,
    "names/*.csv": 200,
    "names/*.xes": 60,
    "merge/*.csv": 80,
    "late/*.csv": 600,
    "sparse/*.csv": 600,
    "long/*.csv": 80,
    "plain/*.txt": 60,
    "events.jsonl": 80,
    "german/*.csv": 40,
    "fields/*.csv": 240,
    "objects/*.npz": "np.savez(",
    "reported/01*/*": 180,
    "reported/02*/*": 180,
    "reported/03*/*": 180,
    "reported/04*/*": 200,
    "reported/05_*/*": 40,
    "reported/05b*/*": 40,
    "reported/05c*/*": 40,
    "reported/06*/*": 180,
    "reported/07*/*": 200,
    "reported/08_init_crash/a.csv.zip": "unzip",
    "reported/08_init_crash/doctype.xes": "document type",
    "reported/08_init_crash/duplicate.parquet": "twice",
    "reported/08_init_crash/empty_int.xes": "left out",
    "reported/08_init_crash/int_is_float.xes": "left out",
    "reported/08_init_crash/objects.npz": "np.savez(",
    "reported/08_init_crash/padded.npz": "length",
    "reported/08_init_crash/pointer.parquet": "git lfs pull",
    "reported/08_init_crash/widths.npz": "np.savez(",
    "reported/08_init_crash/zero.npz": "0 bytes",
    "reported/08_init_crash/zero.parquet": "0 bytes",
    "reported/08_init_crash/zero.xes": "0 bytes",
    "reported/09b*/*": 40,
    "reported/09d*/*": 40,
    "reported/11_*/*": 200,
    "reported/11b*/*": 2,
    "reported/12_*/*": 2,
    "reported/12c*/*": 2,
}


@pytest.mark.parametrize("pattern", SHARED_CASES)
def test_a_reported_case_is_right(shared_cases, tmp_path, capsys, pattern):
    expected = SHARED_CASES[pattern]
    done, _ = _init(shared_cases / pattern, tmp_path / "c.toml")
    said = capsys.readouterr().err
    if isinstance(expected, str):
        assert done in (exits.BAD_CONFIG, exits.BAD_DATA)
        assert expected in said and "--output" not in said
        return
    assert done == exits.DONE, said
    preview = plan.plan_run(config.load(tmp_path / "c.toml")).preview
    assert (preview.read, preview.accepted) == (expected, expected), preview.bad
    assert sum(column.is_constant for column in preview.columns) == 0
