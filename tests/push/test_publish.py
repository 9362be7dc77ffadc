import pathlib
import threading

import pytest

from components.push import publish


@pytest.fixture
def model(tmp_path) -> pathlib.Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    for number in range(50):
        (folder / "variables" / f"part-{number}").write_bytes(bytes(200_000))
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def _files(folder: pathlib.Path) -> set[pathlib.Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def test_versions_count_up_from_what_is_there(model, tmp_path):
    serving = tmp_path / "serving"
    assert publish.publish(publish.stage(model, serving)).name == "1"
    assert publish.publish(publish.stage(model, serving)).name == "2"
    (serving / "1795000000").mkdir()  # Another pusher's clock.
    final = publish.publish(publish.stage(model, serving))
    assert final.name == "1795000001"
    assert _files(final) == _files(model)


def test_what_an_earlier_run_left_staged_is_removed(model, tmp_path):
    serving = tmp_path / "serving"
    (serving / ".staged-1" / "variables").mkdir(parents=True)
    staged = publish.stage(model, serving)
    assert [path for path in serving.iterdir()] == [staged]


def test_no_one_ever_sees_a_numeric_folder_that_is_not_whole(model, tmp_path):
    serving = tmp_path / "serving"
    serving.mkdir()
    expected, partial, polls, over = _files(model), [], [], threading.Event()

    def watch() -> None:
        while not over.is_set():
            for folder in [path for path in serving.iterdir() if path.name.isdecimal()]:
                polls.append(folder.name)
                if _files(folder) != expected:
                    partial.append(folder.name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        publish.publish(publish.stage(model, serving))
    over.set()
    watcher.join()
    assert partial == []
    assert set(polls) >= {"1", "2", "3", "4"}
