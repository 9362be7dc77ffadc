"""Hold a SavedModel to the contract, in a process of its own.

    python -m ragline.components.push.contract.clean_process MODEL [PROBES] [--strict|--trust]

It imports TensorFlow and NumPy alone, as a server would: what is served must need neither the
project's training code nor tensorflow_transform. Both loaders are tried, since a SavedModel of a
Keras 3 model can load in Python and fail in a session, which TF Serving uses (keras#19274):

    session    both loaders give the same embedding
    golden     the model still gives the embeddings that it gave when it was trained (golden.py)
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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import LENGTH, VALUES, Category
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
from ragline.components.files.storage import read_json
from ragline.components.push.contract import golden, graph, hard_requests, padding_contract, probes
from ragline.components.push.contract.check import NoEncoderError
from ragline.components.push.contract.sequences import Probe, pad

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
_NORMAL = {"mean": 0.0, "std": 1.0}  # Of a feature of which nothing is known.


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
    """Loads a model both ways and checks the padding contract.

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
    found = _Probes(*probes.load(probes_file), "given") if probes_file else _make(model, shape)
    names, categories = found.names, found.categories
    encode_examples = (
        (lambda sequences: probes.encode(sequences, names, categories)) if names else None
    )
    signatures = {
        name: _numpy(signature)
        for name, signature in loaded.signatures.items()
        if _takes(signature) == _inputs(name, shape) and _gives_embedding(name, signature)
    }
    clauses = padding_contract.applicable(signatures, found.sequences, encode_examples)
    violations = padding_contract.violations(signatures, found.sequences, encode_examples)
    violations += _session(model, signatures[ENCODE], found.sequences)
    if strict:
        clauses |= hard_requests.applicable(signatures, found.sequences, encode_examples)
        violations += hard_requests.violations(signatures, found.sequences, encode_examples)
    has_golden = golden.is_beside(model)
    if has_golden or strict:
        violations += golden.violations(model, signatures.get(SERVING_DEFAULT))
    size = loaded.signatures[ENCODE].structured_outputs[EMBEDDING].shape[1]
    lengths = [len(sequence) for sequence in found.sequences]
    return {
        "violations": [violation._asdict() for violation in violations],
        "embedding_size": size,
        "clauses_checked": [
            *clauses,
            "session",
            *(["golden"] if has_golden or strict else []),
            *(["ops"] if strict else []),
        ],
        "signatures_checked": sorted(set().union(*clauses.values())),
        "features": found.sequences[0].values.shape[1],
        "categories": [category.name for category in categories],
        "probes": f"{len(lengths)} sequences of {min(lengths)} to {max(lengths)} steps, "
        f"{found.source}",
    }


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
    """F and the categories as `encode` states them.

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
            kinds = {
                name: "bytes" if spec.dtype == tf.string else "int" for name, spec in words.items()
            }
            return _Shape(values[2], kinds)
    raise NoEncoderError(
        f"signature {ENCODE!r}: expected {VALUES} [B, T, F] and {LENGTH} [B] -> {EMBEDDING} [B, E] "
        f"with any B and T, received {_told(inputs)} -> {_told(outputs)}"
    )


def _are_words(spec: tf.TensorSpec) -> bool:
    is_word = spec.dtype == tf.string or spec.dtype.is_integer
    return is_word and spec.shape.rank == 2 and [*spec.shape] == [None, None]


def _told(specs: Mapping[str, tf.TensorSpec]) -> str:
    return ", ".join(f"{name} {specs[name].shape}" for name in sorted(specs))


def _make(model: pathlib.Path, shape: _Shape) -> _Probes:
    file, features = model / ENCODER_FILE, shape.features
    if not file.is_file():
        if features is None:
            raise NoEncoderError(
                f"signature {ENCODE!r}: {VALUES} [B, T, F] states no F, and there is no "
                f"{ENCODER_FILE} that does"
            )
        categories = [Category(name=key, kind=kind) for key, kind in shape.words.items()]
        sequences = probes.make([_NORMAL] * features, _words(model, categories))
        return _Probes(sequences, None, categories, "standard normal noise")
    try:
        facts = read_json(file)
        stated = facts["features"]
        names = [feature["name"] for feature in stated]
        known = all(feature.keys() >= _NORMAL.keys() for feature in stated)
        categories = [
            Category(name=category["name"], kind=category["kind"])
            for category in facts.get("categories", ())
        ]
        words = _words(model, categories)
        sequences = probes.make(stated if known else [_NORMAL] * len(stated), words)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NoEncoderError(
            f"{ENCODER_FILE}: expected features, each with its name, mean and std: {_line(error)}"
        ) from error
    if features not in (None, len(names)):
        raise NoEncoderError(
            f"{ENCODER_FILE}: expected the {features} features of signature {ENCODE!r}, "
            f"received {len(names)}"
        )
    if {category.key: category.kind for category in categories} != shape.words:
        raise NoEncoderError(
            f"{ENCODER_FILE}: expected the categories of signature {ENCODE!r}, "
            f"{sorted(shape.words) or 'none'}, received {sorted(words) or 'none'}"
        )
    source = f"noise with the means and stds of {file.name}" if known else "standard normal noise"
    return _Probes(sequences, names, categories, source)


def _words(model: pathlib.Path, categories: Sequence[Category]) -> dict[str, np.ndarray]:
    return {
        category.key: probes.words_to_draw(category, probes.vocabulary(model, category))
        for category in categories
    }


def _numpy(signature: Any) -> padding_contract.Signature:
    specs = signature.structured_input_signature[1]

    def call(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        try:
            tensors = {name: _tensor(array, specs[name].dtype) for name, array in inputs.items()}
            outputs = signature(**tensors)
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
        told = f"an answer, received {_line(error)}"
        return [padding_contract.Violation("session", where, float("nan"), told)]
    if figure <= padding_contract.TOLERANCE:
        return []
    return [padding_contract.Violation("session", where, figure, padding_contract.SAME)]


def _by_session(model: pathlib.Path, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The embeddings by the loader that TF Serving, saved_model_cli and BulkInferrer use."""
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
    """Sets how much memory a check may take, if it may take more; both loaders copy weights."""
    threads = (os.cpu_count() or 1) * _OF_A_CORE
    limit = _MEMORY + threads + 20 * sum(map(places.size, places.inside(model)))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _line(error: Exception) -> str:
    """An error in one line. TensorFlow's own say what happened last, before {{node names}}."""
    lines = [re.sub(r"{{.*?}}", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("[[")] or [""]
    return f"{type(error).__name__}: {lines[-1 if isinstance(error, tf.errors.OpError) else 0]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks the padding contract of a SavedModel.")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("probes", type=pathlib.Path, nargs="?")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--trust", action="store_true")
    arguments = parser.parse_args()
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
