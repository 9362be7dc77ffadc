"""Batches: each sequence in one of them, whole, with little padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.serving.batches import Sequences, batches

LENGTHS = st.lists(st.integers(1, 12), max_size=20)


def _sequences(lengths: list[int]) -> Sequences:
    total = sum(lengths)
    tokens = np.empty(total, object)
    tokens[:] = [str(step) for step in range(total)]
    return Sequences(
        values=np.arange(2 * total, dtype=np.float32).reshape(total, 2),
        length=np.array(lengths, np.int64),
        tokens={"word": tokens, "code": np.arange(total)},
    )


@given(LENGTHS, st.integers(1, 40), st.integers(1, 6))
def test_every_sequence_is_in_one_batch_as_it_was(lengths, steps, most):
    sequences = _sequences(lengths)
    starts = np.cumsum(lengths) - lengths
    seen = []
    for batch in batches(sequences, steps, most):
        count, longest, _ = batch.values.shape
        assert count <= most
        assert count * longest <= steps or count == 1
        assert longest == batch.length.max()
        for row, place in enumerate(batch.places.tolist()):
            valid = slice(0, batch.length[row])
            flat = slice(starts[place], starts[place] + lengths[place])
            assert batch.length[row] == lengths[place]
            np.testing.assert_array_equal(batch.values[row, valid], sequences.values[flat])
            assert not batch.values[row, batch.length[row] :].any()
            for key, column in sequences.tokens.items():
                assert batch.tokens[key][row, valid].tolist() == column[flat].tolist()
            seen.append(place)
    assert sorted(seen) == list(range(len(lengths)))


@given(LENGTHS)
def test_batches_go_from_the_shortest_to_the_longest(lengths):
    lengths_by_batch = [batch.length.tolist() for batch in batches(_sequences(lengths), 40, 6)]
    assert [length for batch in lengths_by_batch for length in batch] == sorted(lengths)
