"""What TensorFlow prints when it is imported and loads a model reaches no terminal."""

from commands import python


def test_an_export_says_its_own_line_alone(encoder, tmp_path):
    arguments = ["export", str(encoder), "--format", "onnx", "--output", str(tmp_path / "e.onnx")]
    code = f"from ragline.pipeline.cli.main import main; raise SystemExit(main({arguments!r}))"
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"{tmp_path}/e.onnx: in onnxruntime, at most ")
    assert len(done.stderr.splitlines()) == 1
