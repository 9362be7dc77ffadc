"""Train and apply an encoder as an estimator of scikit-learn."""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ragline.components.contract import exits
from ragline.components.contract.errors import InputError, NotBlessedError
from ragline.components.contract.feature_transforms import Transform
from ragline.components.serving import tables
from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Encoder
from ragline.components.serving.tables import Steps
from ragline.pipeline.python import calls, training
from ragline.pipeline.python.report import Report
from ragline.pipeline.runs import workdir as workdirs
from ragline.pipeline.runs.runner import Outcome

_LABEL = "label"
_FORCED = "SequenceEncoder(require_blessed=False)"
_ARGUMENTS = ("embedding_size", "epochs", "seed")


class SequenceEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learns a vector of fixed size for sequences of different lengths, without labels.

    `fit` runs the whole pipeline in a process of its own: it validates and standardises the
    sequences, trains a masked LSTM autoencoder, evaluates it beside baselines, and proves that
    padding has no effect. X is what `ragline.Encoder.score` takes: a pandas, Polars or Arrow table
    with a row a step; a list or dict of arrays [T, F] or of such tables; an array [N, T, F] with
    `lengths`. NaN is a missing value.

    Args:
      id: column of a table that names a row's sequence.
      time: column by which a sequence's steps are sorted, numbers or timestamps; None keeps their
        order.
      entity: column of what a sequence belongs to (a patient, a machine): all sequences of one fall
        in the same split; None takes each sequence as its own.
      label: column of a label of the sequence, by which the report measures the embedding; it is
        not learnt from. `fit(X, y)` gives it by sequence.
      features: columns of numbers; with this or `categories`, no other column is learnt.
      categories: columns of words or of integers that are ids. With neither, numbers are features
        and text is a category.
      transforms: feature -> `"none"`, `"log"` or `"signed_log"`, applied before standardisation and
        inside of the encoder. Any other feature has `signed_log` if 1% of its values are giants
        that would decide what is learnt, as `ragline init` chooses, and none otherwise.
      embedding_size: E; None takes the configuration's default.
      epochs: most passes over the data; None takes as many as make some 1,000 updates.
      seed: seed of the weights and of the order of sequences.
      options: further keys of docs/config.md with their values, such as `{"train.units": 128}`.
      workdir: folder for all that a fit writes, for `ragline run` to go on with; None takes a
        temporary one, which lasts as long as the estimator.
      require_blessed: whether a model that the verdict refuses is an error.
      progress: whether a terminal or a notebook shows a line of progress.

    Attributes:
      encoder_: the encoder, a `ragline.Encoder`.
      verdict_: `blessed`, `forced` and `reasons`, the sentences of the verdict.
      summary_: content of the run's summary.json.
      report_: the report; a notebook shows it, `save` writes the page.
      n_features_in_: number of columns that are learnt.
      feature_names_in_: their names, where X was a table.
    """

    def __init__(
        self,
        *,
        id: str | None = None,
        time: str | None = None,
        entity: str | None = None,
        label: str | None = None,
        features: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        transforms: Mapping[str, Transform] | None = None,
        embedding_size: int | None = None,
        epochs: int | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        workdir: str | pathlib.Path | None = None,
        require_blessed: bool = True,
        progress: bool = True,
    ) -> None:
        self.id = id
        self.time = time
        self.entity = entity
        self.label = label
        self.features = features
        self.categories = categories
        self.transforms = transforms
        self.embedding_size = embedding_size
        self.epochs = epochs
        self.seed = seed
        self.options = options
        self.workdir = workdir
        self.require_blessed = require_blessed
        self.progress = progress

    def fit(self, X: Any, y: Any = None, *, lengths: Any = None, words: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Train an encoder.

        Args:
          X: the sequences; see the class.
          y: the label of each sequence, in their order; None without.
          lengths: int [N], the valid steps of an array [N, T, F].
          words: beside arrays, category -> the N sequences' words [T].

        Raises:
          NotBlessedError: the verdict refused the model; it has the sentences.
          BadDataError: the sequences cannot be used.
          UsageError: an argument or a column is wrong; InputError, which is a ValueError, too.
          RunFailedError: the run failed.
        """
        steps = tables.read(X, id=self.id, time=self.time, lengths=lengths, words=words)
        label, steps = self._with_label(steps, y)
        roles = training.roles(
            steps,
            id=self.id,
            time=self.time,
            entity=self.entity,
            label=label,
            features=self.features,
            categories=self.categories,
        )
        transforms = dict(self.transforms or {})
        training.check_transforms(transforms, roles.features)
        owner = None if self.workdir is not None else tempfile.TemporaryDirectory(prefix="ragline-")
        folder = pathlib.Path(owner.name if owner else self.workdir or "")
        training.check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with workdirs.lock(folder):
            outcome = self._run(training.write(folder, steps, roles, transforms))
            report = Report.read(outcome.summary, outcome.folder)
            verdict = outcome.summary["verdict"]
            if outcome.summary["exit_code"] == exits.NOT_BLESSED:
                raise NotBlessedError(
                    "not blessed: " + "\n".join(verdict["reasons"]) + "\nrequire_blessed=False "
                    "takes the model all the same, unless it breaks the padding contract"
                )
            self.encoder_ = Encoder(folder / training.RUN / workdirs.SERVING, owner=owner)
        self.verdict_ = verdict
        self.summary_ = outcome.summary
        self.report_ = report
        self.n_features_in_ = len(roles.learnt)
        self._columns = {*steps.columns}
        self.__dict__.pop("feature_names_in_", None)
        if self.id is not None:
            self.feature_names_in_ = np.array(roles.learnt, object)
        return self

    def _run(self, config: pathlib.Path) -> Outcome:
        given = {name: getattr(self, name) for name in _ARGUMENTS}
        options = {f"train.{name}": value for name, value in given.items() if value is not None}
        return calls.run(
            config,
            overrides=training.overrides(options | dict(self.options or {})),
            force_bless="" if self.require_blessed else _FORCED,
            progress=self.progress,
        )

    def _with_label(self, steps: Steps, y: Any) -> tuple[str | None, Steps]:
        if y is None:
            return self.label, steps
        if self.label is not None:
            raise InputError("y: expected none beside label, received both")
        try:
            given = y if hasattr(y, "__iter__") else np.asarray(y)
            labels = pa.array([*given], from_pandas=True)  # NaN is no label.
        except pa.ArrowException as error:
            raise InputError(f"y: expected labels of one type: {error}") from error
        if len(labels) != len(steps.ids):
            raise InputError(
                f"y: expected a label for each of {len(steps.ids)} sequences, "
                f"received {len(labels)}"
            )
        if _LABEL in steps.columns:
            raise InputError(f"y: expected no column {_LABEL!r} beside it, received one; rename it")
        repeated = labels.take(pa.array(np.repeat(np.arange(len(labels)), steps.length)))
        columns = {**steps.columns, _LABEL: pa.chunked_array([repeated])}
        return _LABEL, Steps(ids=steps.ids, length=steps.length, columns=columns, time=steps.time)

    def transform(self, X: Any, *, lengths: Any = None, words: Any = None) -> Any:  # noqa: N803
        """Return the embeddings [N, E], in the order of the input; of a table, of first rows.

        `set_output(transform="pandas")` makes it a frame whose index are the ids.

        Raises:
          InputError: a column is missing, was not there in `fit`, or holds something else.
        """
        ids, sequences = self._read(X, lengths, words)
        embedding = self.encoder_.encode_flat(sequences)
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform")
        if (wanted or sklearn.get_config()["transform_output"]) != "pandas":
            return embedding
        import pandas as pd

        index = pd.Index(ids, name=self.id)
        return pd.DataFrame(embedding, index=index, columns=self.get_feature_names_out())

    def score_samples(self, X: Any, *, lengths: Any = None, words: Any = None) -> np.ndarray:  # noqa: N803
        """Return the reconstruction error [N] of each sequence: how unlike the training data it is.

        Unlike scikit-learn's densities, a higher one is more unusual. NaN of a sequence in which
        nothing was observed.
        """
        _, sequences = self._read(X, lengths, words)
        return self.encoder_.score_flat(sequences)[1]

    def _read(self, data: Any, lengths: Any, words: Any) -> tuple[Sequence[Any], Sequences]:
        check_is_fitted(self, "encoder_")
        facts = self.encoder_.facts
        known = [*facts.columns.names, *(category.name for category in facts.columns.categories)]
        steps = tables.read(
            data,
            names=facts.columns.names,
            id=self.id,
            time=self.time,
            lengths=lengths,
            words=words,
        )
        aside = self._columns - {*known}  # Columns that `fit` saw, and did not learn.
        columns = {name: column for name, column in steps.columns.items() if name not in aside}
        steps = Steps(ids=steps.ids, length=steps.length, columns=columns)
        longest, most = int(steps.length.max(initial=0)), facts.input.options["steps"]["max_length"]
        if longest > most:
            raise InputError(
                f"sequence {steps.ids[int(steps.length.argmax())]!r}: expected at most {most} "
                f"steps, received {longest}; options={{'input.steps.max_length': ...}} sets it"
            )
        return steps.ids, steps.sequences(facts.columns)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the embedding's E columns."""
        check_is_fitted(self, "encoder_")
        size = self.encoder_.facts.embedding_size
        return np.array([f"embedding{place}" for place in range(size)], object)

    def _more_tags(self) -> dict[str, Any]:
        return {"X_types": ["3darray"], "allow_nan": True, "preserves_dtype": []}
