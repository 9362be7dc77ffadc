"""The words of a category -> codes 0, 1, 2 ... by frequency.

Underlying assumptions: a category arrives as a ragged tensor [B, None] of the valid steps' words,
so padding does not exist here; an empty text is a missing word.

The vocabulary is that of the training split's observed words, the most frequent first and at most
so many; every other word shares one code, which comes after theirs. With V words in the vocabulary,
codes are 0 to V, and `MISSING_CODE` where there is no word. TFT keeps words in a text file, one a
line: a word with a line break in it is in no vocabulary, and has the code of the others.
"""

import tensorflow as tf
import tensorflow_transform as tft

from ragline.components.contract.columns import MISSING_CODE, Category

# Of a category whose words are many more (ids, say), the rare ones tell little, and a softmax over
# all of them costs memory at every step.
MAX_WORDS = 10_000


def codes(
    words: tf.RaggedTensor, category: Category, max_words: int = MAX_WORDS
) -> tf.RaggedTensor:
    """The code of each word.

    Args:
      words: ragged [B, None], bytes, or int64: a code of the raw data is a word like any other.
      category: what they are of.
      max_words: the most words that the vocabulary may have.

    Returns:
      int64, ragged likewise.
    """
    text = words.flat_values
    if text.dtype != tf.string:
        text = tf.strings.as_string(text)
    code = tft.compute_and_apply_vocabulary(
        text, top_k=max_words, num_oov_buckets=1, vocab_filename=category.vocabulary
    )
    missing = tf.constant(MISSING_CODE, tf.int64)
    return words.with_flat_values(tf.where(tf.equal(text, ""), missing, code))
