"""One update, and one evaluation, on one device or several.

An update is the gradient of sum / count over the *global* batch: each replica, and each part of a
batch that is computed in parts, differentiates its own sum divided by the count of all of them, and
the gradients are summed. A mean a part, averaged, would weigh a sequence by how little padding its
part happens to hold: Keras was off by 48% under MirroredStrategy, and by 54% with
gradient_accumulation_steps.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Collection
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract.masking import masked_mean, masked_mean_of, total_weight
from ragline.components.contract.signatures import legal
from ragline.components.files.storage import digest_of
from ragline.components.runtime import cores, progress
from ragline.components.train.data.input_pipeline import Batch, sums_over
from ragline.components.train.model import architecture
from ragline.components.train.objective import categories, loss
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TrainOptions
from ragline.components.train.padding import strategies

_SUM = tf.distribute.ReduceOp.SUM

# name -> float64: sums over batches, divided only when an epoch ends.
Sums = dict[str, float]
LOSS, STEPS, PADDED_STEPS = "loss", "steps", "padded_steps"


@functools.cache
def strategy_of(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy that an option names: see `TrainOptions.strategy`.

    One a process: a second MirroredStrategy would take the keys of the first one's collectives, and
    fail at the first gradient of another size. `multi_worker` connects to the others of TF_CONFIG,
    and must come before all else that a process asks of TensorFlow.
    """
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    several_gpus = len(tf.config.list_logical_devices("GPU")) > 1
    if name == "mirrored" or (name == "auto" and several_gpus):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def leads(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the first of those that train, or the only one."""
    cluster = strategy.cluster_resolver
    return cluster is None or cluster.task_id == 0


def category_term(name: str) -> str:
    """The key of a category's cross-entropy among the sums."""
    return f"category:{name}:entropy"


def head_term(name: str) -> str:
    """The key of a head's loss among the sums; no category has such a one, with its colons."""
    return f"{legal(name)}_loss"


def head_right(name: str) -> str:
    """The key of how many labels a head has right, likewise."""
    return f"{legal(name)}_right"


def mean_of(sums: Sums, name: str) -> float:
    """A sum of an epoch, divided once, at its end."""
    return masked_mean_of(sums[name], sums[f"{name}_count"])


class DisagreeError(Exception):
    """Workers that were to train together would not do the same."""


class Trainer:
    """A model and its optimizer on a strategy: one update a batch, and whole evaluations.

    Attributes:
      model: the weights move with each update.
      optimizer: Adam.
      averages: of the trainable weights, in the model's order; see `TrainOptions.averaging`.
      heads: supervised outputs on the code.
      categories: names of the categorical columns.
    """

    def __init__(
        self,
        *,
        features: int,
        options: TrainOptions,
        strategy: tf.distribute.Strategy,
        heads: Collection[HeadOptions] = (),
        vocabularies: Collection[Vocabulary] = (),
        steps: int = 1,
    ) -> None:
        """Creates the variables on the strategy's devices, seeded by the options.

        Args:
          features: F.
          options: of the training.
          strategy: see `strategy_of`.
          heads: supervised outputs on the code.
          vocabularies: of the categories.
          steps: of the longest sequence; see `model.build`.
        """
        self._strategy = strategy
        self._options = options
        self.heads = tuple(heads)
        self.categories = tuple(vocabulary.name for vocabulary in vocabularies)
        keras.utils.set_random_seed(options.seed)
        with strategy.scope():
            self.model = architecture.build(
                features=features,
                options=options,
                heads=heads,
                vocabularies=vocabularies,
                steps=steps,
            )
            self.optimizer = keras.optimizers.Adam(options.learning_rate)
            self.optimizer.build(self.model.trainable_variables)
            # As they are now: the averages stay beside them, whatever is frozen later.
            self._averaged = list(self.model.trainable_variables)
            self.averages = [
                tf.Variable(variable.value, trainable=False) for variable in self._averaged
            ]
        self._strips = cores.strips()
        self._functions: dict[tuple[str, Any], Callable[[Any], dict[str, tf.Tensor]]] = {}

    def update(self, batches: tf.data.Dataset) -> Sums:
        """One update a batch; the sums of the training loss, each head's and each category's."""
        return self._run(self._update_replica, batches, self._follow)

    def measure(self, batches: tf.data.Dataset) -> Sums:
        """The sums that `update` would report, if no weight moved."""
        return self._run(self._measure_replica, batches)

    def evaluate(self, batches: tf.data.Dataset) -> Sums:
        """The sums of squared errors, each head and each category, the weights as they are."""
        return self._run(self._evaluate_replica, batches)

    def restart_averages(self) -> None:
        """Starts the averages at the weights as they are."""
        for average, variable in zip(self.averages, self._averaged, strict=True):
            average.assign(variable.value)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with the averages of its weights in their place."""
        weights = [np.asarray(variable.value) for variable in self._averaged]
        try:
            for variable, average in zip(self._averaged, self.averages, strict=True):
                variable.assign(np.asarray(average))
            yield
        finally:
            for variable, weight in zip(self._averaged, weights, strict=True):
                variable.assign(weight)

    def agree(self, state: str) -> None:
        """Gives every worker the weights of the first, if they are all in the same state.

        Weights that each computes from the data differ in their last bits between machines.

        Raises:
          DisagreeError: they are not.
        """
        if self._strategy.cluster_resolver is None:
            return
        number = int(digest_of([state])[:15], 16)
        variables = self.model.trainable_variables

        def of_all() -> list[tf.Tensor]:
            mine = [tf.constant(number, tf.int64), *(variable.value for variable in variables)]
            stacked = [tf.identity(value)[tf.newaxis] for value in mine]
            return tf.distribute.get_replica_context().all_gather(stacked, axis=0)

        found = tf.function(lambda: self._strategy.run(of_all))()
        numbers, *weights = (self._strategy.experimental_local_results(one)[0] for one in found)
        if len(set(numbers.numpy())) > 1:
            raise DisagreeError(
                "expected all workers to have the same data, code and checkpoints, "
                "received others on some"
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight[0])

    def _run(
        self,
        replica_step: Callable[[Batch], dict[str, tf.Tensor]],
        batches: tf.data.Dataset,
        then: Callable[[], None] = lambda: None,
    ) -> Sums:
        distributed = self._strategy.distribute_datasets_from_function(
            functools.partial(_shares, batches)
        )
        step = self._compiled(replica_step, distributed.element_spec, then)

        def sums_of(batch: Any) -> dict[str, tf.Tensor]:
            sums = step(batch)
            progress.advance()
            return sums

        return sums_over(distributed, sums_of)

    def _compiled(
        self,
        replica_step: Callable[[Batch], dict[str, tf.Tensor]],
        spec: Any,
        then: Callable[[], None],
    ) -> Callable[[Any], dict[str, tf.Tensor]]:
        """One trace for batches of every shape, kept from epoch to epoch."""
        key = (replica_step.__name__, str(spec))
        if key not in self._functions:

            def step(batch: Any) -> dict[str, tf.Tensor]:
                sums = self._strategy.run(replica_step, args=(batch,))
                then()
                return {
                    name: self._strategy.reduce(_SUM, value, axis=None)
                    for name, value in sums.items()
                }

            self._functions[key] = tf.function(step, input_signature=[spec])
        return self._functions[key]

    def _update_replica(self, batch: Batch) -> dict[str, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        variables = [variable.value for variable in self.model.trainable_variables]
        counts = self._counts(batch)
        # What each mean is divided by: of the global batch, known before any part is computed.
        global_counts = replicas.all_reduce(_SUM, counts)
        weights = (1.0, *(head.weight for head in self.heads), *(1.0 for _ in self.categories))
        parts = self._options.micro_batches

        def add_part(
            part: tf.Tensor, totals: list[tf.Tensor], gradients: list[tf.Tensor]
        ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                found = self._totals(_part(batch, part, parts))
                means = map(masked_mean, found, global_counts)
                objective = tf.add_n([w * mean for w, mean in zip(weights, means, strict=True)])
            # As tensors: that of an embedding is a list of the rows that were read.
            slopes = [tf.convert_to_tensor(slope) for slope in tape.gradient(objective, variables)]
            return part + 1, _added(totals, found), _added(gradients, slopes)

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
        # is. It cannot be left to the optimizer: the norm to clip by is that of the whole sum.
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], self.model.trainable_variables)
        return self._reported(batch, totals)

    def _follow(self) -> None:
        """Draws the averages towards the weights: a = s a + (1 - s) w, s of `options.averaging`."""
        updates = tf.cast(self.optimizer.iterations.value, tf.float32)
        share = tf.minimum(self._options.averaging, (1.0 + updates) / (10.0 + updates))

        def drawn(average: tf.Variable, weight: tf.Tensor) -> tf.Operation:
            return average.assign(weight + share * (average - weight))

        for average, variable in zip(self.averages, self._averaged, strict=True):
            self._strategy.extended.update(average, drawn, args=(variable.value,))

    def _measure_replica(self, batch: Batch) -> dict[str, tf.Tensor]:
        return self._reported(batch, self._totals(batch))

    def _reported(self, batch: Batch, totals: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        sums = _steps(batch)
        for name, total, count in zip(self._names(), totals, self._counts(batch), strict=True):
            sums |= {name: total, f"{name}_count": count}
        return _as_float64(sums)

    def _evaluate_replica(self, batch: Batch) -> dict[str, tf.Tensor]:
        return self._side_by_side(self._evaluate_strip, batch)

    def _evaluate_strip(self, batch: Batch) -> dict[str, tf.Tensor]:
        outputs, answers = self._forward(batch, training=False)
        counted = tf.cast(batch.sample_weight > 0, tf.float32)
        total, count = loss.error_sums("squared", batch.values, outputs.values, counted)
        sums = _steps(batch) | {LOSS: total, f"{LOSS}_count": count}
        for head, answer in zip(self.heads, answers, strict=True):
            label, weight = batch.labels[head.name], batch.label_weight[head.name]
            total, count = loss.head_sums(head, label, answer, weight)
            term = head_term(head.name)
            sums |= {term: total, f"{term}_count": count}
            if head.type == "classification":
                right = tf.cast(tf.equal(tf.argmax(answer, axis=1), label), tf.float32)
                sums[head_right(head.name)] = tf.reduce_sum(weight * right)
        for name, logits in outputs.logits.items():
            term, codes = category_term(name), batch.token_ids[name]
            weight = tf.cast(batch.token_weight[name] > 0, tf.float32)
            sums |= {
                term: tf.reduce_sum(categories.cross_entropy(codes, logits, weight)),
                f"{term}_count": tf.reduce_sum(weight),
                f"{term}_right": tf.reduce_sum(categories.right(codes, logits, weight)),
            }
        return _as_float64(sums)

    def _forward(
        self, batch: Batch, training: bool
    ) -> tuple[architecture.Reconstruction, list[tf.Tensor]]:
        """The reconstruction, and each head's outputs."""
        code = self.model.encode(
            batch.values, batch.length, training, batch.token_ids, batch.sample_weight
        )
        outputs = self.model.decode(code, batch.values, batch.length, training, batch.token_ids)
        return outputs, [head(code) for head in self.model.heads]

    def _names(self) -> tuple[str, ...]:
        """Of the terms of the objective: the reconstruction, each head and each category."""
        return (
            LOSS,
            *(head_term(head.name) for head in self.heads),
            *(category_term(name) for name in self.categories),
        )

    def _counts(self, batch: Batch) -> list[tf.Tensor]:
        """The sum of weights of each term, which needs no forward pass."""
        weight = strategies.weight(self._options, batch)
        return [
            total_weight(weight, batch.values),
            *(tf.reduce_sum(batch.label_weight[head.name]) for head in self.heads),
            *(tf.reduce_sum(batch.token_weight[name]) for name in self.categories),
        ]

    def _totals(self, batch: Batch) -> list[tf.Tensor]:
        """The weighted sum of errors of each term."""
        return self._side_by_side(self._totals_of_strip, batch)

    def _side_by_side(self, sums_of: Callable[[Batch], Any], batch: Batch) -> Any:
        """The sums of a batch's strips, see `cores`, added up."""
        found = [sums_of(_part(batch, strip, self._strips)) for strip in range(self._strips)]
        return tf.nest.map_structure(lambda *sums: tf.add_n(sums), *found)

    def _totals_of_strip(self, batch: Batch) -> list[tf.Tensor]:
        outputs, answers = self._forward(batch, training=True)
        weight = strategies.weight(self._options, batch)
        targets = strategies.targets(self._options, batch)
        totals = [loss.error_sums(self._options.error, targets, outputs.values, weight)[0]]
        for head, answer in zip(self.heads, answers, strict=True):
            label, labelled = batch.labels[head.name], batch.label_weight[head.name]
            totals.append(loss.head_sums(head, label, answer, labelled)[0])
        for name in self.categories:
            weight = batch.token_weight[name]
            entropy = categories.cross_entropy(batch.token_ids[name], outputs.logits[name], weight)
            totals.append(tf.reduce_sum(weight * entropy))
        return totals


def _shares(batches: tf.data.Dataset, context: tf.distribute.InputContext) -> tf.data.Dataset:
    """Of each batch the rows of every replica of this process, one after the other.

    All processes read all batches: a share is as wide as the global batch.
    """
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return batches
    here = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * here
    places = tf.data.Dataset.range(first, first + here, output_type=tf.int32)
    return batches.flat_map(lambda batch: places.map(lambda place: _part(batch, place, replicas)))


def _part(batch: Batch, part: tf.Tensor | int, parts: int) -> Batch:
    """One of so many parts of a batch, cut by rows; some are empty if it has fewer rows."""
    rows = tf.shape(batch.values)[0]
    start, stop = rows * part // parts, rows * (part + 1) // parts
    return tf.nest.map_structure(lambda tensor: tensor[start:stop], batch)


def _added(one: list[tf.Tensor], other: list[tf.Tensor]) -> list[tf.Tensor]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _steps(batch: Batch) -> dict[str, tf.Tensor]:
    padded = tf.size(batch.values) // batch.values.shape[2]
    return {STEPS: tf.reduce_sum(batch.length), PADDED_STEPS: padded}


def _as_float64(sums: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: tf.cast(value, tf.float64) for name, value in sums.items()}
