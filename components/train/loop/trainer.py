"""Update and evaluate a model, on one device or several.

An update is the gradient of sum / count over the *global* batch: each replica, and each part of a
batch that is computed in parts (gradient accumulation), differentiates its own sum divided by the
global count, and the gradients are summed. An average of each part's mean would weigh a sequence by
how little padding its part happens to hold: Keras was off by 48% under MirroredStrategy, and by 54%
with gradient_accumulation_steps.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Collection
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract.errors import UsageError
from ragline.components.contract.masking import masked_mean
from ragline.components.files.storage import digest_of
from ragline.components.runtime import blas, cores, progress
from ragline.components.train import terms as registered_terms
from ragline.components.train.data import random_slices
from ragline.components.train.data.input_pipeline import sums_over
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import row_parts
from ragline.components.train.loop.decay import FinalDecay
from ragline.components.train.model import architecture
from ragline.components.train.model.sequence_statistics import frequent_tokens
from ragline.components.train.model.statistics_head import StatisticsHead
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions
from ragline.components.train.terms import steps as step_terms
from ragline.components.train.terms.interface import Outputs, Sums

_SUM = tf.distribute.ReduceOp.SUM

STEPS, PADDED_STEPS = "steps", "padded_steps"


@functools.cache
def strategy_of(name: str) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy that an option names: see `TrainOptions.strategy`.

    A process has each only once: a second MirroredStrategy would take the keys of the first one's
    collectives, and fail at the first gradient of another size. `multi_worker` connects to the
    others of TF_CONFIG, and must come before any other use of TensorFlow.
    """
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    several_gpus = len(tf.config.list_logical_devices("GPU")) > 1
    if name == "mirrored" or (name == "auto" and several_gpus):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tell whether this process is worker 0 of those that train, or the only one."""
    cluster = strategy.cluster_resolver
    return cluster is None or cluster.task_id == 0


class DisagreeError(Exception):
    """Says that the workers of a training differ in data, source or checkpoints."""


class Trainer:
    """Trains a model with an optimizer on a strategy: one update a batch, and whole evaluations.

    Attributes:
      model: the model; its weights change with each update.
      optimizer: Adam.
      rate: learning rate of each update.
      statistics: what tells statistics from the embedding, of which no model that is exported has
        need; None without `TrainOptions.statistics`.
      variables: all weights, and the states of random generators.
      averages: of the trainable weights, in that order; see `TrainOptions.averaging`.
      heads: supervised outputs on the embedding.
      terms: the terms of the objective; the first is the reconstruction.
    """

    def __init__(
        self,
        *,
        features: int,
        options: TrainOptions,
        strategy: tf.distribute.Strategy,
        heads: Collection[HeadOptions] = (),
        vocabularies: Collection[Vocabulary] = (),
        terms: Collection[TermOptions] = (),
        steps: int = 1,
    ) -> None:
        """Create the variables on the strategy's devices, seeded by the options.

        Args:
          features: F.
          options: options of the training.
          strategy: the devices; see `strategy_of`.
          heads: supervised outputs on the embedding.
          vocabularies: vocabularies of the categories.
          terms: terms beside the values, categories and heads.
          steps: length of the longest sequence; see `architecture.build`.

        Raises:
          UsageError: a term compares the sequences of a batch, which several replicas share.
        """
        self._strategy = strategy
        self._options = options
        self.heads = tuple(heads)
        names = [vocabulary.name for vocabulary in vocabularies]
        self.terms = step_terms.of_model(options, self.heads, names, terms)
        replicas, comparing = strategy.num_replicas_in_sync, registered_terms.comparing(terms)
        if replicas > 1 and comparing:
            raise UsageError(
                f"terms: {comparing[0].name!r} compares the sequences of a whole batch; expected "
                f"train.strategy = 'one', received {options.strategy!r} with {replicas} replicas"
            )
        keras.utils.set_random_seed(options.seed)
        with strategy.scope():
            self.model = architecture.build(
                features=features,
                options=options,
                heads=heads,
                vocabularies=vocabularies,
                steps=steps,
            )
            self.rate = FinalDecay(options.learning_rate)
            self.optimizer = keras.optimizers.Adam(self.rate)
            self.statistics = (
                StatisticsHead(
                    features=features,
                    tokens=frequent_tokens(vocabularies),
                    size=options.embedding_size,
                    linear=self.model.linear,
                )
                if options.statistics
                else None
            )
            self.optimizer.build(self._trainable_variables)
            # Variables that are frozen later keep their averages.
            self._averaged_variables = self._trainable_variables
            self.averages = [
                tf.Variable(variable.value, trainable=False)
                for variable in self._averaged_variables
            ]
        # Not get_weights() of the model, which leaves out the state of random generators.
        variables = (each for layer in self._layers for each in layer.variables)
        self.variables = [*{id(each): each for each in variables}.values()]  # Some are shared.
        device = cores.device_of(self.model.trainable_variables[0].value)
        self._batch_shards = 1 if comparing else cores.batch_shards(device)
        self._functions: dict[tuple[str, Any], Callable[[Any], dict[str, tf.Tensor]]] = {}

    @property
    def _layers(self) -> list[keras.Layer]:
        return [self.model, *([] if self.statistics is None else [self.statistics])]

    @property
    def _trainable_variables(self) -> list[keras.Variable]:
        return [each for layer in self._layers for each in layer.trainable_variables]

    @blas.one_thread
    def start(self, batches: tf.data.Dataset) -> None:
        """Set what training starts at; see `MaskedAutoencoder.start` and `StatisticsHead`."""
        inputs = self.model.start(batches, self._options.seed)
        if self.statistics is not None:
            self.statistics.start_at(batches, self.model.linear, inputs)

    def update(self, batches: tf.data.Dataset) -> Sums:
        """Update once a batch; return the sums of the training loss, of each head and category."""
        return self._run(self._update_replica, batches, self._update_averages)

    def measure(self, batches: tf.data.Dataset) -> Sums:
        """Return the sums that `update` would report if no weight changed."""
        return self._run(self._measure_replica, batches)

    def evaluate(self, batches: tf.data.Dataset) -> Sums:
        """Return the sums of squared errors, of each head and category, by the current weights."""
        return self._run(self._evaluate_replica, batches)

    def restart_averages(self) -> None:
        """Set the averages to the current weights."""
        for average, variable in zip(self.averages, self._averaged_variables, strict=True):
            average.assign(variable.value)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages in the place of the weights for the duration of the block."""
        weights = [np.asarray(variable.value) for variable in self._averaged_variables]
        try:
            for variable, average in zip(self._averaged_variables, self.averages, strict=True):
                variable.assign(np.asarray(average))
            yield
        finally:
            for variable, weight in zip(self._averaged_variables, weights, strict=True):
                variable.assign(weight)

    def agree(self, state: str) -> None:
        """Give every worker the weights of the chief, if they are all in the same state.

        Weights that each computes from the data differ in their last bits between machines.

        Raises:
          DisagreeError: the states differ.
        """
        if self._strategy.cluster_resolver is None:
            return
        own_id = int(digest_of([state])[:15], 16)
        variables = [each for layer in self._layers for each in layer.weights]

        def gather() -> list[tf.Tensor]:
            values = [tf.constant(own_id, tf.int64), *(each.value for each in variables)]
            stacked = [tf.identity(value)[tf.newaxis] for value in values]
            return tf.distribute.get_replica_context().all_gather(stacked, axis=0)

        gathered = tf.function(lambda: self._strategy.run(gather), autograph=False)()
        ids, *weights = (self._strategy.experimental_local_results(value)[0] for value in gathered)
        if len(set(ids.numpy())) > 1:
            raise DisagreeError(
                "expected all workers to have the same data, code and checkpoints, "
                "received others on some"
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight[0])

    def _run(
        self,
        replica_step: Callable[[SequenceBatch], dict[str, tf.Tensor]],
        batches: tf.data.Dataset,
        then: Callable[[], None] = lambda: None,
    ) -> Sums:
        distributed = self._strategy.distribute_datasets_from_function(
            functools.partial(row_parts.split_rows, batches)
        )
        step = self._compiled(replica_step, distributed.element_spec, then)

        def sums_of(batch: Any) -> dict[str, tf.Tensor]:
            sums = step(batch)
            progress.advance()
            return sums

        return sums_over(distributed, sums_of)

    def _compiled(
        self,
        replica_step: Callable[[SequenceBatch], dict[str, tf.Tensor]],
        spec: Any,
        then: Callable[[], None],
    ) -> Callable[[Any], dict[str, tf.Tensor]]:
        """Trace a step once for batches of every shape, and keep it from epoch to epoch."""
        key = (replica_step.__name__, str(spec))
        if key not in self._functions:

            def step(batch: Any) -> dict[str, tf.Tensor]:
                sums = self._strategy.run(replica_step, args=(batch,))
                then()
                return {
                    name: self._strategy.reduce(_SUM, value, axis=None)
                    for name, value in sums.items()
                }

            # Ours never branches on a tensor in Python; looking for it takes a third of a trace.
            self._functions[key] = tf.function(step, input_signature=[spec], autograph=False)
        return self._functions[key]

    def _update_replica(self, batch: SequenceBatch) -> dict[str, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        variables = [variable.value for variable in self._trainable_variables]
        counts = self._counts(batch)
        # The count that each mean is divided by, of the global batch, before any part is computed.
        global_counts = replicas.all_reduce(_SUM, counts)
        weights = [term.weight for term in self.terms]
        parts = self._options.gradient_accumulation_steps

        def add_part(
            part: tf.Tensor, totals: list[tf.Tensor], gradients: list[tf.Tensor]
        ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                part_totals = self._totals(row_parts.rows(batch, part, parts))
                means = map(masked_mean, part_totals, global_counts)
                objective = tf.add_n([w * mean for w, mean in zip(weights, means, strict=True)])
            # As tensors: the gradient of an embedding lists only the rows that were read.
            slopes = [tf.convert_to_tensor(slope) for slope in tape.gradient(objective, variables)]
            return part + 1, _add(totals, part_totals), _add(gradients, slopes)

        # A loop of the graph: parts unrolled by Python may run side by side, and save no memory.
        _, totals, gradients = tf.while_loop(
            lambda part, *_: part < parts,
            add_part,
            (0, [tf.zeros([]) for _ in counts], [tf.zeros_like(value) for value in variables]),
            parallel_iterations=1,
        )
        gradients = replicas.all_reduce(_SUM, gradients)
        gradients, _ = tf.clip_by_global_norm(gradients, self._options.clip_norm)
        # The optimizer sums over replicas once more; an equal share from each leaves the sum as it
        # is. The first sum cannot be left to the optimizer: the norm to clip is that of the sum.
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], self._trainable_variables)
        return self._report(batch, totals)

    def _update_averages(self) -> None:
        """Move the averages towards the weights: a = s a + (1 - s) w, s of `options.averaging`."""
        updates = tf.cast(self.optimizer.iterations.value, tf.float32)
        share = tf.minimum(self._options.averaging, (1.0 + updates) / (10.0 + updates))

        def moved(average: tf.Variable, weight: tf.Tensor) -> tf.Operation:
            return average.assign(weight + share * (average - weight))

        for average, variable in zip(self.averages, self._averaged_variables, strict=True):
            self._strategy.extended.update(average, moved, args=(variable.value,))

    def _measure_replica(self, batch: SequenceBatch) -> dict[str, tf.Tensor]:
        return self._report(batch, self._totals(batch))

    def _report(self, batch: SequenceBatch, totals: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        sums = _count_steps(batch)
        for term, total, count in zip(self.terms, totals, self._counts(batch), strict=True):
            sums |= {term.key: total, f"{term.key}_count": count}
        return _as_float64(sums)

    def _evaluate_replica(self, batch: SequenceBatch) -> dict[str, tf.Tensor]:
        return self._sum_shards(self._evaluate_shard, batch)

    def _evaluate_shard(self, batch: SequenceBatch) -> dict[str, tf.Tensor]:
        outputs, sums = self._forward(batch, training=False), _count_steps(batch)
        for term in self.terms:
            sums |= term.evaluated(batch, outputs)
        return _as_float64(sums)

    def _forward(self, batch: SequenceBatch, training: bool) -> Outputs:
        """Return what the model puts out."""
        embedding = self.model.encode(batch, training)
        outputs = self.model.decode(embedding, batch, training)
        layers = zip(self.heads, self.model.heads, strict=True)
        heads = {head.name: layer(embedding) for head, layer in layers}
        statistics = None if self.statistics is None else self.statistics.errors(embedding, batch)
        slices = self._slices(batch) if training else ()
        return Outputs(outputs.values, outputs.logits, heads, embedding, statistics, slices)

    def _slices(self, batch: SequenceBatch) -> tuple[tf.Tensor, ...]:
        """Return the embeddings of two slices of each sequence; others at each update."""
        if not any(term.reads_slices for term in self.terms):
            return ()
        update = tf.cast(self.optimizer.iterations.value, tf.int32)
        seeds = [tf.stack([self._options.seed, 2 * update + slice_]) for slice_ in range(2)]
        return tuple(self.model.encode(random_slices.cut(batch, seed), True) for seed in seeds)

    def _counts(self, batch: SequenceBatch) -> list[tf.Tensor]:
        """Return the sum of weights of each term, which needs no forward pass."""
        return [term.count(batch) for term in self.terms]

    def _totals(self, batch: SequenceBatch) -> list[tf.Tensor]:
        """Return the weighted sum of errors of each term."""
        return self._sum_shards(self._shard_totals, batch)

    def _sum_shards(self, sums_of: Callable[[SequenceBatch], Any], batch: SequenceBatch) -> Any:
        """Add up the sums of a batch's shards; see `cores`."""
        shards = self._batch_shards
        shard_sums = [sums_of(row_parts.rows(batch, shard, shards)) for shard in range(shards)]
        return tf.nest.map_structure(lambda *sums: tf.add_n(sums), *shard_sums)

    def _shard_totals(self, batch: SequenceBatch) -> list[tf.Tensor]:
        outputs = self._forward(batch, training=True)
        return [term.total(batch, outputs) for term in self.terms]


def _add(first: list[tf.Tensor], second: list[tf.Tensor]) -> list[tf.Tensor]:
    return [a + b for a, b in zip(first, second, strict=True)]


def _count_steps(batch: SequenceBatch) -> dict[str, tf.Tensor]:
    padded = tf.size(batch.values) // batch.values.shape[2]
    return {STEPS: tf.reduce_sum(batch.length), PADDED_STEPS: padded}


def _as_float64(sums: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: tf.cast(value, tf.float64) for name, value in sums.items()}
