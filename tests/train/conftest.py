"""Batches of one shard, which take half as long to trace.

test_loop.py has those of a CPU of several cores; test_categories.py holds that the number of shards
changes nothing, with everything that a batch can have.
"""

from collections.abc import Iterator

import pytest

from ragline.components.runtime import cores

_AS_THE_MACHINE_HAS = ("test_fused_lstm.py", "test_loop.py")


@pytest.fixture(scope="module", autouse=True)
def one_shard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute each batch of a trainer as a whole, on any number of cores."""
    if request.path.name in _AS_THE_MACHINE_HAS:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "batch_shards", lambda device: 1)
        yield
