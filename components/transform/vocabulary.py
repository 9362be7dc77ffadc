"""Map the tokens of a category to token ids 0, 1, 2 ... by frequency.

Underlying assumptions: a category arrives as a ragged tensor [B, None] of the valid steps' tokens,
so padding does not exist here; an empty text is a missing token.

The vocabulary has the training split's observed tokens, the most frequent first and at most
MAX_TOKENS; all other tokens share the id after the last. With V tokens in the vocabulary, ids are 0
to V, and `MISSING_TOKEN_ID` where a token is missing. TFT keeps tokens in a text file, one a line:
a token with a line break in it is in no vocabulary, and has the id of the others.
"""

import tensorflow as tf
import tensorflow_transform as tft

from ragline.components.contract.columns import MISSING_TOKEN_ID, Category

# If a category has many more tokens (ids, say), the rare ones carry little information, and a
# softmax over all of them costs memory at every step.
MAX_TOKENS = 10_000


def token_ids(
    tokens: tf.RaggedTensor, category: Category, max_tokens: int = MAX_TOKENS
) -> tf.RaggedTensor:
    """Map tokens to token ids.

    Args:
      tokens: ragged [B, None], bytes, or int64: an integer of the raw data is a token like a text.
      category: the category of the tokens.
      max_tokens: largest size of the vocabulary.

    Returns:
      Token ids, int64, ragged as the tokens are.
    """
    text = tokens.flat_values
    if text.dtype != tf.string:
        text = tf.strings.as_string(text)
    ids = tft.compute_and_apply_vocabulary(
        text, top_k=max_tokens, num_oov_buckets=1, vocab_filename=category.vocabulary
    )
    missing = tf.constant(MISSING_TOKEN_ID, tf.int64)
    return tokens.with_flat_values(tf.where(tf.equal(text, ""), missing, ids))
