"""Hold a SavedModel to the contract, in a process of its own.

    python -m ragline.components.push.contract.clean_process [MODEL [PROBES] [--strict|--trust]]

Without arguments, it reads them from a line of its input, as a JSON list, once it has imported.
It imports TensorFlow and NumPy alone, as a server would: what is served must need neither the
project's training code nor Keras nor tensorflow_transform. Both loaders are tried, since a
SavedModel of a Keras 3 model can load in Python and fail in a session, which TF Serving uses
(keras#19274):

    session    both loaders give the same embedding
    golden     the model still gives the embeddings that it gave when it was trained (golden.py)
    weights    its weights and vocabularies have the digests that it states (stored_weights.py)
    ops        before anything is loaded: strict, it is made of the operations of clean exports;
               otherwise, and unless it is trusted, of none that reaches out (graph.py)

Strictly, it must answer hard requests, too, or refuse them (hard_requests.py). This process can
write no byte to any file, and has so much memory: what the machine's threads take, 20 times the
model, and 4 GiB.

Prints one JSON object as the last line: the checks that check.py reads, or an `error`.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

if __name__ == "__main__":
    # TensorFlow imports Keras where it is, of one of two names, and all that it can use: 10.7 CPU
    # seconds, not 5.9.
    sys.modules |= {"keras": None, "tf_keras": None}  # type: ignore[dict-item]
import tensorflow as tf

from ragline.components.contract import kinds
from ragline.components.contract.columns import LENGTH, VALUES, Category
from ragline.components.contract.errors import NoEncoderError
from ragline.components.contract.signatures import (
    EMBEDDING,
    ENCODE,
    ENCODE_FLAT,
    ENCODER_FILE,
    EVALUATE,
    EXAMPLES,
    ROW_LENGTHS,
    SCORE,
    SERVING_DEFAULT,
)
from ragline.components.files import places
from ragline.components.push.contract import (
    golden,
    graph,
    hard_requests,
    padding_contract,
    probes,
    stored_weights,
)
from ragline.components.push.contract.sequences import Probe, pad
from ragline.components.serving import facts as model_facts
from ragline.components.serving.facts import ModelFacts

# A signature of one of these names with other inputs is another thing, and is left alone. Those
# that take values take the words of each category, too.
_INPUTS = {
    ENCODE: {VALUES, LENGTH},
    SCORE: {VALUES, LENGTH},
    ENCODE_FLAT: {VALUES, ROW_LENGTHS},
    SERVING_DEFAULT: {EXAMPLES},
    EVALUATE: {EXAMPLES},
}
_MEMORY, _OF_A_CORE = 4 << 30, 64 << 20  # Bytes; a core has several threads, with their stacks.


class _Shape(NamedTuple):
    features: int | None  # F, if the signature states it.
    words: dict[str, str]  # Of each category: its input, and its kind.


class _Probes(NamedTuple):
    sequences: list[Probe]
    names: list[str] | None  # Of the features; needed where tf.Examples are.
    categories: list[Category]
    source: str


def check(
    model: pathlib.Path,
    probes_file: pathlib.Path | None,
    *,
    strict: bool = False,
    trust: bool = False,
) -> dict[str, Any]:
    """Load a model both ways and check the padding contract.

    Args:
      model: a SavedModel.
      probes_file: `.npz` as `probes.save` writes it; None for probes made from what the model
        states of its features and categories.
      strict: as `ragline.components.push.contract.check` says.
      trust: likewise.

    Raises:
      NoEncoderError: it cannot be loaded, or has no signature `encode` as the contract wants it.
    """
    look = graph.foreign_ops if strict else graph.harmful_ops
    if not trust and (strange := _strange_ops(model, look)):
        return _not_loaded(strange)
    try:
        loaded = tf.saved_model.load(str(model))
    except Exception as error:  # A foreign file fails in any way it likes.
        raise NoEncoderError(f"no SavedModel that can be loaded: {_line(error)}") from error
    shape = _shape(loaded.signatures)
    facts = _facts(model) if strict or model_facts.is_beside(model) else None
    if probes_file:
        chosen = _Probes(*probes.load(probes_file), "given")
    else:
        chosen = _make(model, shape, facts)
    names, categories = chosen.names, chosen.categories
    encode_examples = (
        (lambda sequences: probes.encode(sequences, names, categories)) if names else None
    )
    signatures = {
        name: _numpy(signature)
        for name, signature in loaded.signatures.items()
        if _takes(signature) == _inputs(name, shape) and _gives_embedding(name, signature)
    }
    clauses = padding_contract.applicable(signatures, chosen.sequences, encode_examples)
    violations = padding_contract.violations(signatures, chosen.sequences, encode_examples)
    violations += _session(model, signatures[ENCODE], chosen.sequences)
    if strict:
        clauses |= hard_requests.applicable(signatures, chosen.sequences, encode_examples)
        violations += hard_requests.violations(signatures, chosen.sequences, encode_examples)
    has_golden = golden.is_beside(model)
    if has_golden or strict:
        violations += golden.violations(model, signatures.get(SERVING_DEFAULT))
    if facts:
        violations += stored_weights.violations(model, facts)
    size = loaded.signatures[ENCODE].structured_outputs[EMBEDDING].shape[1]
    lengths = [len(sequence) for sequence in chosen.sequences]
    return {
        "violations": [violation._asdict() for violation in violations],
        "embedding_size": size,
        "clauses_checked": [
            *clauses,
            "session",
            *(["golden"] if has_golden or strict else []),
            *(["weights"] if facts else []),
            *(["ops"] if strict else []),
        ],
        "signatures_checked": sorted(set().union(*clauses.values())),
        "features": chosen.sequences[0].values.shape[1],
        "categories": [category.name for category in categories],
        "probes": f"{len(lengths)} sequences of {min(lengths)} to {max(lengths)} steps, "
        f"{chosen.source}",
    }


def _facts(model: pathlib.Path) -> ModelFacts:
    try:
        return model_facts.read(model)
    except NoEncoderError as error:  # Its sentence begins with the model's path.
        raise NoEncoderError(str(error).removeprefix(f"{model}/")) from error


def _strange_ops(
    model: pathlib.Path, look: Callable[[pathlib.Path], list[padding_contract.Violation]]
) -> list[padding_contract.Violation]:
    try:
        return look(model)
    except (OSError, ValueError) as error:
        raise NoEncoderError(f"no SavedModel that can be loaded: {_line(error)}") from error


def _not_loaded(violations: Sequence[padding_contract.Violation]) -> dict[str, Any]:
    return {
        "violations": [violation._asdict() for violation in violations],
        "embedding_size": None,
        "clauses_checked": ["ops"],
        "signatures_checked": [],
        "features": None,
        "categories": [],
        "probes": "none; the model was not loaded",
    }


def _takes(signature: Any) -> set[str]:
    return set(signature.structured_input_signature[1])


def _inputs(name: str, shape: _Shape) -> set[str] | None:
    expected = _INPUTS.get(name)
    return expected | set(shape.words) if expected and VALUES in expected else expected


def _gives_embedding(name: str, signature: Any) -> bool:
    return name == EVALUATE or EMBEDDING in signature.structured_outputs


def _shape(signatures: Mapping[str, Any]) -> _Shape:
    """Return F and the categories as the signature `encode` states them.

    Raises:
      NoEncoderError: no such signature, or not as the contract wants it.
    """
    if ENCODE not in signatures:
        raise NoEncoderError(
            f"expected a signature {ENCODE!r}, received {sorted(signatures) or 'none'}"
        )
    encode = signatures[ENCODE]
    inputs, outputs = encode.structured_input_signature[1], encode.structured_outputs
    words = {name: spec for name, spec in inputs.items() if name not in _INPUTS[ENCODE]}
    if _INPUTS[ENCODE] <= set(inputs) and EMBEDDING in outputs:
        values, length = inputs[VALUES].shape, inputs[LENGTH].shape
        if (
            (values.rank, length.rank) == (3, 1)
            and [*values[:2], *length] == [None, None, None]
            and outputs[EMBEDDING].shape.is_compatible_with([None, None])
            and all(_are_words(spec) for spec in words.values())
        ):
            of_words = {
                name: kinds.TEXT if spec.dtype == tf.string else kinds.INTEGER
                for name, spec in words.items()
            }
            return _Shape(values[2], of_words)
    raise NoEncoderError(
        f"signature {ENCODE!r}: expected {VALUES} [B, T, F] and {LENGTH} [B] -> {EMBEDDING} [B, E] "
        f"with any B and T, received {_shapes_of(inputs)} -> {_shapes_of(outputs)}"
    )


def _are_words(spec: tf.TensorSpec) -> bool:
    is_word = spec.dtype == tf.string or spec.dtype.is_integer
    return is_word and spec.shape.rank == 2 and [*spec.shape] == [None, None]


def _shapes_of(specs: Mapping[str, tf.TensorSpec]) -> str:
    return ", ".join(f"{name} {specs[name].shape}" for name in sorted(specs))


def _make(model: pathlib.Path, shape: _Shape, facts: ModelFacts | None) -> _Probes:
    """Make probes of what a model states of its features and categories; of noise, if nothing."""
    if facts is None:
        if shape.features is None:
            raise NoEncoderError(
                f"signature {ENCODE!r}: {VALUES} [B, T, F] states no F, and there is no "
                f"{ENCODER_FILE} that does"
            )
        categories = [Category(name=key, kind=kind) for key, kind in shape.words.items()]
        sequences = probes.make(
            [0.0] * shape.features, [1.0] * shape.features, _words(model, categories)
        )
        return _Probes(sequences, None, categories, "standard normal noise")
    columns = facts.columns
    if shape.features not in (None, len(columns.features)):
        raise NoEncoderError(
            f"{ENCODER_FILE}: expected the {shape.features} features of signature {ENCODE!r}, "
            f"received {len(columns.features)}"
        )
    stated = {category.key: category.kind for category in columns.categories}
    if stated != shape.words:
        raise NoEncoderError(
            f"{ENCODER_FILE}: expected the categories of signature {ENCODE!r}, "
            f"{sorted(shape.words) or 'none'}, received {sorted(stated) or 'none'}"
        )
    sequences = probes.make(
        [feature.mean for feature in facts.features],
        [feature.std for feature in facts.features],
        _words(model, columns.categories),
        columns.transforms,
    )
    source = f"noise with the means and stds of {pathlib.Path(ENCODER_FILE).name}"
    return _Probes(sequences, list(columns.names), list(columns.categories), source)


def _words(model: pathlib.Path, categories: Sequence[Category]) -> dict[str, np.ndarray]:
    return {
        category.key: probes.words_to_draw(category, probes.vocabulary(model, category))
        for category in categories
    }


def _numpy(signature: Any) -> padding_contract.Signature:
    specs = signature.structured_input_signature[1]
    exhausted: list[str] = []

    def call(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        if exhausted:  # TensorFlow waits 10 seconds for memory, each time.
            raise padding_contract.UnansweredError(exhausted[0])
        try:
            tensors = {name: _tensor(array, specs[name].dtype) for name, array in inputs.items()}
            outputs = signature(**tensors)
        except tf.errors.ResourceExhaustedError as error:
            exhausted.append(_line(error))
            raise padding_contract.UnansweredError(exhausted[0]) from error
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise padding_contract.UnansweredError(_line(error)) from error
        return {
            name: tensor.numpy()
            for name, tensor in outputs.items()
            if tensor.shape.rank and tensor.dtype != tf.string
        }

    return call


def _tensor(array: np.ndarray, dtype: tf.DType) -> tf.Tensor:
    if array.dtype == object:
        return tf.constant(array, tf.string)
    return tf.cast(tf.constant(array), dtype)


def _session(
    model: pathlib.Path, encode: padding_contract.Signature, sequences: Sequence[Probe]
) -> list[padding_contract.Violation]:
    inputs = pad(sequences, sequences[0])
    where = f"{ENCODE}.{EMBEDDING}, a session's loader"
    try:
        expected = encode(**inputs)[EMBEDDING]
    except padding_contract.UnansweredError:
        return []  # Every other clause says so.
    try:
        figure = padding_contract.difference(expected, _by_session(model, inputs))
    except Exception as error:  # The loader, too, fails in many ways.
        expectation = f"an answer, received {_line(error)}"
        return [padding_contract.Violation("session", where, float("nan"), expectation)]
    if figure <= padding_contract.TOLERANCE:
        return []
    return [padding_contract.Violation("session", where, figure, padding_contract.SAME)]


def _by_session(model: pathlib.Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the embeddings by the loader of TF Serving, saved_model_cli and BulkInferrer."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(model))
        signature = meta.signature_def[ENCODE]
        return session.run(
            signature.outputs[EMBEDDING].name,
            {
                signature.inputs[name].name: array.astype(
                    tf.as_dtype(signature.inputs[name].dtype).as_numpy_dtype
                )
                for name, array in inputs.items()
            },
        )


def _limit_memory(model: pathlib.Path) -> None:
    """Set how much memory a check may take, if it may take more; both loaders copy weights."""
    threads = (os.cpu_count() or 1) * _OF_A_CORE
    limit = _MEMORY + threads + 20 * sum(map(places.size, places.inside(model)))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _line(error: Exception) -> str:
    """Return an error in one line: of TensorFlow's the last, which says what happened."""
    lines = [re.sub(r"{{.*?}}", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("[[")] or [""]
    return f"{type(error).__name__}: {lines[-1 if isinstance(error, tf.errors.OpError) else 0]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks the padding contract of a SavedModel.")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("probes", type=pathlib.Path, nargs="?")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--trust", action="store_true")
    # Without arguments, it waits for a line of them; there is none if the run has ended.
    words = sys.argv[1:] or json.loads(sys.stdin.readline() or "[]")
    if not words:
        sys.exit()
    arguments = parser.parse_args(words)
    # Of pipes, which the answer takes, the limit knows nothing.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _limit_memory(arguments.model)
    try:
        result = check(
            arguments.model, arguments.probes, strict=arguments.strict, trust=arguments.trust
        )
    except NoEncoderError as error:
        result = {"error": str(error)}
    print(json.dumps(result))
