"""Batches of one shard, but where a file is about shards."""

import pytest

_AS_THE_MACHINE_HAS = ("test_fused_lstm.py", "test_loop.py")


@pytest.fixture(scope="module", autouse=True)
def shards(request: pytest.FixtureRequest) -> None:
    if request.path.name not in _AS_THE_MACHINE_HAS:
        request.getfixturevalue("one_shard")
