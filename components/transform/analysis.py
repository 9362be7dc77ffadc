"""Give TFT two transforms that share no files between workers, in place of its own.

TFT's own write a SavedModel and a vocabulary below a folder that every worker must see, and yield
the path. These yield it by value. TFT looks its transforms up in a registry, which importing this
module changes for the whole process.
"""

import secrets
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, impl_helper
from tensorflow_transform.beam import beam_nodes, common

from ragline.components.runtime import by_value
from ragline.components.runtime.by_value import ByValue

# TFT's files on the way, in the memory of a process.
TEMPORARY = "ram://tft"


@common.register_ptransform(beam_nodes.CreateSavedModel, tags={common.EnvironmentTags.TF_V2_ONLY})
class CreateSavedModel(beam.PTransform):
    """Makes the SavedModel of the analysers' results so far, and yields it by value."""

    def __init__(self, operation: Any, extra_args: Any) -> None:
        """Take what TFT gives each of its transforms."""
        super().__init__()
        signature = operation.output_signature
        # That of the last SavedModel has ragged tensors, and needs no names.
        plain = all(isinstance(tensor, tf.Tensor) for tensor in signature.values())
        self._names = {key: tensor.name for key, tensor in signature.items()} if plain else {}
        self._arguments = (
            extra_args.preprocessing_fn,
            extra_args.input_specs,
            extra_args.analyzers_fingerprint,
            extra_args.save_options,
        )

    def expand(self, inputs: Any) -> beam.PCollection:
        """Make it once the results, an element a PCollection, are there."""
        results = () if isinstance(inputs, beam.pvalue.PBegin) else inputs
        pipeline = results[0].pipeline if results else inputs.pipeline
        return (
            pipeline
            | "Once" >> beam.Create([None])
            | "Create"
            >> beam.Map(
                _create, self._arguments, self._names, *map(beam.pvalue.AsSingleton, results)
            )
        )


def _create(_: None, arguments: tuple[Any, ...], names: dict[str, str], *results: Any) -> ByValue:
    preprocessing_fn, specs, fingerprint, save_options = arguments
    folder = f"{TEMPORARY}/{secrets.token_hex(16)}"
    values = {
        result.tensor_name: tf.constant(result.value, tf.dtypes.as_dtype(result.dtype_enum))
        for result in results
    }
    impl_helper.trace_and_write_v2_saved_model(
        folder, preprocessing_fn, specs, TEMPORARY, fingerprint, values, names, save_options
    )
    archive = by_value.pack(folder)
    tf.io.gfile.rmtree(folder)
    return ByValue(archive)


@common.register_ptransform(analyzer_nodes.VocabularyOrderAndWrite)
class WriteVocabulary(beam.PTransform):
    """Writes the file of a vocabulary, the most frequent token first, and yields it by value."""

    def __init__(self, operation: Any, extra_args: Any) -> None:
        """Take what TFT gives each of its transforms."""
        super().__init__()
        del extra_args
        self._name = operation.vocab_filename

    def expand(self, inputs: tuple[beam.PCollection]) -> tuple[beam.PCollection]:
        """Write (count, token)s, of which TFT has left the most frequent alone."""
        [counts] = inputs
        listed = counts | beam.combiners.ToList()
        return (listed | "Write" >> beam.Map(_write, self._name),)


def _write(counts: list[Any], name: str) -> ByValue:
    lines = b"".join(token + b"\n" for _, token in sorted(counts, reverse=True))
    return ByValue(by_value.pack_files({name: lines}), name)
