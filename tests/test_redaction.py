"""Secrets in what is kept and shown; and what looks like one and is none."""

import tomllib

import commands
import pytest

from ragline.pipeline.runs.redaction import redacted, redacted_data

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--azure_blob_token=hunter2", "--azure_blob_token=***"),
        ("--db_password=a hunter2, b", "--db_password=***"),
        ("ran with --s3_secret_access_key=hunter2 --region=eu",
         "ran with --s3_secret_access_key=*** --region=eu"),
        ("--api-key hunter2 --x=1", "--api-key *** --x=1"),
        ('beam_pipeline_args: "--password=my hunter2"', 'beam_pipeline_args: "--password=***"'),
        ("['--token=hunter2', '--x=1']", "['--token=***', '--x=1']"),
        ('--environment_config={"env": {"AWS_SESSION_TOKEN": "hunter2", "A": "b"}}',
         '--environment_config={"env": {"AWS_SESSION_TOKEN": "***", "A": "b"}}'),
        (r'value: "{\"client_secret\":\"hunter2\"}"', r'value: "{\"client_secret\":\"***\"}"'),
        ("s3://me:hunter2@host/a/*.csv: expected a file", "s3://***@host/a/*.csv: expected a file"),
        ("https://hunter2@host/a", "https://***@host/a"),
        ("abfs://c/a.csv?sv=1&sig=hunter2&se=2", "abfs://c/a.csv?sv=1&sig=***&se=2"),
        ("https://h/a?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2",
         "https://h/a?X-Amz-Credential=***&X-Amz-Signature=***"),
    ],
)  # fmt: skip
def test_a_secret_is_masked(text, expected):
    assert redacted(text) == expected
    assert redacted(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "--direct_num_workers=2",
        "--temp_location=gs://bucket/token/*.csv",
        "s3://bucket/{YYYY}-{MM}/day-?.csv",
        "token=a: masked_mse 0.3",  # A slice of a context column.
        "12 tokens, 3 of them unknown",
        "mail me@example.org, see https://example.org/a@b",
        '{"sequence_id": "a", "token_id": 3}',
        "/data/passwords/a.csv",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


def test_data_are_masked_to_their_depth():
    data = {"a": [{"uri": "s3://u:hunter2@h/x"}], "options": ("--token=hunter2",), "n": 3}
    assert redacted_data(data) == {
        "a": [{"uri": "s3://***@h/x"}],
        "options": ["--token=***"],
        "n": 3,
    }


def test_a_run_keeps_and_says_no_secret(tmp_path):
    """One that finds no file, which says and keeps the pattern; its log has Beam's options."""
    workdir = tmp_path / "work"
    (tmp_path / "c.toml").write_text(
        f'name = "n"\nschema = "gestures"\nworkdir = "{workdir}"\n'
        f'[input]\ntrain = "https://me:{SECRET}@localhost/a.jsonl?sig={SECRET}"\n'
        f'[beam]\noptions = ["--azure_token={SECRET}", "--direct_num_workers=1"]\n'
    )
    done = commands.ragline("run", tmp_path / "c.toml", "--json")
    assert done.returncode in (1, 3), done.stderr
    [folder] = (workdir / "runs").iterdir()
    texts = {file.name: file.read_text() for file in folder.iterdir()}
    assert {"config.toml", "log.txt", "summary.json", "report.html"} <= set(texts)
    for name, text in {**texts, "stdout": done.stdout, "stderr": done.stderr}.items():
        assert SECRET not in text, name
    kept = tomllib.loads(texts["config.toml"])
    assert kept["beam"]["options"] == ["--azure_token=***", "--direct_num_workers=1"]
    assert kept["input"]["train"] == "https://***@localhost/a.jsonl?sig=***"
    assert "localhost" in texts["summary.json"], "or the test shows nothing"
