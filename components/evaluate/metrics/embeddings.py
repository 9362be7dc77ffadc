"""Define the metrics of the embedding itself; `baselines/embedding_probes.py` computes them."""

from ragline.components.evaluate.metrics.interface import Embedded, EmbeddingMetric


class EffectiveRank(EmbeddingMetric):
    """Makes the number of directions in which the embeddings vary."""

    label = "effective_rank"
    meaning = "number of directions in which the embeddings vary, of E"
    lower_is_better = False

    def of(self, embedded: Embedded) -> float:
        """Return the exponential of the entropy of the singular values."""
        from ragline.components.evaluate.baselines import embedding_probes

        return embedding_probes.effective_rank(embedded.values)


class LengthR2(EmbeddingMetric):
    """Makes the share of the lengths' variance that the embedding predicts."""

    label = "length_r2"
    meaning = "R^2 of a linear model of the length"

    def of(self, embedded: Embedded) -> float | None:
        """Return R^2 out of fold; None of fewer than two entities or lengths."""
        from ragline.components.evaluate.baselines import embedding_probes

        return embedding_probes.length_r2(embedded.values, embedded.lengths, embedded.entities)


class NeighboursKept(EmbeddingMetric):
    """Makes the share of the nearest neighbours that the newest blessed model gives, too."""

    label = "neighbours_kept"
    meaning = "share of the 10 nearest neighbours that are those of the newest blessed model"
    lower_is_better = False
    between_models = True

    def of(self, embedded: Embedded) -> float | None:
        """Return the mean share; None of fewer than 12 sequences, or without such a model."""
        from ragline.components.evaluate.baselines import embedding_probes

        if embedded.newest is None:
            return None
        return embedding_probes.neighbours_kept(embedded.values, embedded.newest)
