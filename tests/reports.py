"""What the tests of the report show: a run that pushed, and its samples."""

from typing import Any

EPOCHS = 7
BEST = 5
NASTY = "<script>alert('&')</script>"


def metrics(mse: float, sequences: int) -> dict[str, dict[str, float | None]]:
    def of(value: float, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
        return {"value": value, "lower": lower, "upper": upper, "count": None}

    return {
        "masked_mse": of(mse, mse - 0.125, mse + 0.25),
        "masked_mae": of(mse / 2, 0.0, 1.0),
        "normalised_mse": of(mse / 4, mse / 5, mse / 3),
        "sequences": of(float(sequences)),
    }


def _estimate(
    value: float, lower: float | None = None, upper: float | None = None, count: float | None = None
) -> dict[str, float | None]:
    return {"value": value, "lower": lower, "upper": upper, "count": count}


# Of the whole eval split alone: by feature, of a head and of a category.
PARTS = {
    "masked_mse/ax": _estimate(0.5, 0.25, 1.0, 800.0),
    "variance/ax": _estimate(2.0, 1.0, 3.0, 800.0),
    "masked_mse/ay": _estimate(0.75, 0.5, 0.875, 700.0),
    "variance/ay": _estimate(1.0, 0.5, 1.5, 700.0),
    "masked_mse/dust": _estimate(0.0, 0.0, 0.0, 800.0),
    "variance/dust": _estimate(0.0, 0.0, 0.0, 800.0),
    "head/gesture/loss": _estimate(0.325, 0.25, 0.5, 640.0),
    "head/gesture/accuracy": _estimate(0.8125, 0.75, 0.875, 640.0),
    "category/activity/accuracy": _estimate(0.9375, None, None, 6400.0),
}


def _slices(added: float) -> dict[str, Any]:
    """The slices of a baseline whose masked MSE is so much above the model's."""
    return {
        name: {
            "masked_mse": _estimate(mse + added),
            "normalised_mse": _estimate((mse + added) / 2, 0.125, 0.875),
        }
        for name, mse in (
            ("overall", 0.78650264),
            ("length_bucket=8-15", 0.25),
            ("length_bucket=16-31", 0.75),
            ("label=circle", 0.5),
        )
    }


def _probe(accuracy: float) -> dict[str, float]:
    """Scores of a probe, of which none is another's."""
    return {
        "size": round(accuracy * 10),
        "nearest_neighbour": accuracy,
        "nearest_neighbour_balanced": accuracy - 0.1,
        "logistic_regression": accuracy - 0.025,
        "logistic_regression_balanced": accuracy - 0.05,
        "auc": accuracy + 0.05,
    }


EMBEDDING = {
    "sequences": 1999,
    "finite": True,
    "model": {
        "size": 3, "effective_rank": 2.5, "variance": [0.25, 0.125, 0.5], "length_r2": 0.375,
    },
    "untrained": {
        "size": 3, "effective_rank": 1.5, "variance": [0.01, 0.02, 0.03], "length_r2": 0.4375,
    },
    "neighbours_kept": 0.625,
    "probes": {
        "label": {
            "labelled": 777,
            "classes": 2,
            "majority": 0.25,
            "model": _probe(0.9),
            "pca": _probe(0.8),
            "statistics": _probe(0.7),
            "untrained": _probe(0.5),
            "length": _probe(0.3),
        }
    },
}  # fmt: skip


def summary() -> dict[str, Any]:
    """A run that pushed, with no value that another one repeats where a test looks."""
    history = [
        {"epoch": e, "loss": 1 / (e + 1), "masked_mse": 0.5 + abs(e - BEST) / 10, "seconds": 1.5}
        for e in range(EPOCHS + 1)
    ]
    return {
        "comparison": None,
        "run_id": "20260102-030405-abcd",
        "status": "done",
        "exit_code": 0,
        "input": {
            "sequences": 12345,
            "steps": 7654321,
            "accepted": 12300,
            "quarantined": 45,
            "reasons": {"length_mismatch": 44, "no_steps": 1},
            "spans": ["6", "7"],
            "missing_spans": [],
            "by_split": {
                "train": {"sequences": 10000, "steps": 6000000},
                "eval": {"sequences": 2300, "steps": 1654321},
            },
        },
        "drift": {
            "span": "7",
            "others": ["6"],
            "columns": {"ax": {"shift": -0.4375, "spread": 1.21875, "missing": 0.0625}},
        },
        "splits": {"train": 10000, "eval": 2300},
        "tune": {
            "best": {"learning_rate": 0.00123, "units": 128},
            "tried": [
                {
                    "trial": 2,
                    "error": 0.5432,
                    "setting": {"learning_rate": 0.00123, "units": 128},
                },
                {"trial": 1, "error": 0.6543, "setting": {"learning_rate": 0.003, "units": 64}},
            ],
        },
        "train": {
            "epochs": EPOCHS,
            "best_epoch": BEST,
            "loss": 0.2,
            "masked_mse": 0.5,
            "objective": 0.45,
            "start_objective": 0.55,
            "terms": [
                {
                    "name": "head/gesture/loss", "weight": 1.0, "value": 0.325, "baseline": 1.625,
                    "accuracy_of_mode": 0.1875, "start": 0.5,
                },
                {
                    "name": "category/activity/cross_entropy", "weight": 1.0, "value": 0.2,
                    "baseline": 2.125, "accuracy_of_mode": 0.4375, "start": 0.5,
                    "bigram": 1.0625, "accuracy_of_bigram": 0.5625,
                },
            ],
            "padding_waste": 0.09448083,
            "steps_per_second": 39552.307,
            "batches": {
                "sequences": None,
                "steps": 960,
                "sort": True,
                "equal": False,
                "pool": 16384,
            },
            "replicas": 1,
            "devices": ["/device:CPU:0", "/device:GPU:0"],
            "history": history,
        },
        "metrics": {
            "overall": metrics(0.78650264, 2300) | PARTS,
            "length_bucket=8-15": metrics(0.25, 300),
            "length_bucket=16-31": metrics(0.75, 2000),
            "label=circle": metrics(0.5, 500),
        },
        "baselines": {
            "model": {
                "train": {"masked_mse": 0.61111, "masked_mae": 0.62222},
                "eval": {"masked_mse": 0.63333, "masked_mae": 0.64444, "normalised_mse": 0.65551},
            },
            "training_mean": {
                "train": {"masked_mse": 0.81111, "masked_mae": 0.82222},
                "eval": {"masked_mse": 1.26666, "masked_mae": 0.84444, "normalised_mse": 0.85551},
                "slices": _slices(0.2),
            },
            "sequence_mean": {
                "train": {"masked_mse": 0.71111, "masked_mae": 0.72222},
                "eval": {"masked_mse": 0.73333, "masked_mae": 0.74444, "normalised_mse": 0.75551},
                "slices": _slices(-0.01),
            },
            "last_value": {
                "train": {"masked_mse": 0.51111, "masked_mae": 0.52222},
                "eval": {"masked_mse": 0.53333, "masked_mae": 0.54444, "normalised_mse": 0.55551},
                "slices": _slices(-0.1),
            },
            "pca": {
                "train": {"masked_mse": None, "masked_mae": None},
                "eval": {"masked_mse": 0.83333, "masked_mae": 0.84444, "normalised_mse": 0.85551},
                "slices": _slices(0.1)
                | {"overall": _slices(0.1)["overall"] | {"normalised_mse/ax": _estimate(0.375)}},
            },
            "newest": {
                "train": {"masked_mse": None, "masked_mae": None},
                "eval": {"masked_mse": None, "masked_mae": None, "normalised_mse": 0.95551},
                "slices": {
                    "overall": {
                        "normalised_mse": _estimate(0.95551, 0.90551, 0.99551),
                        "normalised_mse/ax": _estimate(0.125, 0.0625, 0.1875),
                        "normalised_mse/ay": _estimate(0.0625, 0.03125, 0.09375),
                    },
                    "label=circle": {"normalised_mse": _estimate(0.0625, 0.03125, 0.09375)},
                },
            },
        },
        "verdict": {
            "blessed": True,
            "forced": None,
            "new_signature": None,
            "reasons": ["all sequences are finite", "below the mean"],
        },
        "baseline_model": {"state": "compared", "version": 41, "why": None},
        "embedding": EMBEDDING,
        "constant_features": ["dust"],
        "pushed": {"version": 42, "path": "/srv/serving/42"},
        "data": {
            "formats": {"jsonl": 2},
            "spans": [],
            "policies": {"short_windows": 3},
            "examples": {"length_mismatch": "a.jsonl, line 7: expected 3", "no_steps": "none"},
            "lengths": {"train": {"8-15": 4, "128-255": 6}, "eval": {"16-31": 5}},
            "features": [
                {
                    "name": "ax", "missing": 0.125, "min": -1.5, "max": 2.5, "constant": False,
                    "mean": 0.25, "std_dev": 0.75, "median": 0.375, "zeros": 0.0,
                    "histogram": [1, 4, 2],
                },
                {
                    "name": "ay", "missing": 0.0, "min": -3.0, "max": 3.0, "constant": False,
                    "mean": 10.0, "std_dev": 2.0, "median": 10.0, "zeros": 0.0,
                    "histogram": None,
                },
                {
                    "name": "dust", "missing": 0.0, "min": 7.0, "max": 7.0, "constant": True,
                    "mean": None, "std_dev": None, "median": None, "zeros": None,
                    "histogram": None,
                },
            ],
        },
        "tensorboard": {"folder": "/w/logs", "command": "tensorboard --logdir /w/logs"},
        "stages": {
            "ingest": {
                "state": "cached", "seconds": 0.006, "peak_bytes": 512e6,
                "outputs": {"examples": "/w/ingest/3"},
            },
            "train": {
                "state": "ran", "seconds": 1234.5, "peak_bytes": 2048e6,
                "outputs": {"model": "/w/train/7"},
            },
        },
        "versions": {"ragline": "0.1.0", "tensorflow": "2.21.0"},
    }  # fmt: skip


SAMPLES = {
    "sequences": {
        "sequence_id": ["s0", "s1", "s2", "s3"],
        "entity_id": ["ann", "bob", "ann", "eve"],
        "length": [1, 40, 12, 7],
        "mse": [0.25, 0.5, None, 0.125],
        "x": [0.0, 1.0, 2.0, 3.0],
        "y": [3.0, 2.0, 1.0, 0.0],
        "context": {"label": ["circle", None, "zigzag", "circle"], "site": [None] * 4},
    },
    "explained": [0.5, 0.25],
    "neighbours": {
        "index": [[1, 2], [0, 2], [3, 1], [2, 1]],
        "distance": [[1.5, 3.0], [1.5, 2.0], [1.0, 2.0], [1.0, 3.0]],
    },
    "positions": {
        "mse": [0.5, None, 0.125],
        "missing": {"ax": [0.0, 0.25, 0.5], "ay": [0.0, 0.0, 0.0]},
    },
    "reconstructions": [
        {
            "which": which,
            "sequence_id": name,
            "length": 3,
            "mse": mse,
            "file": "data/b.csv" if name == "s1" else None,
            "line": 4711 if name == "s1" else None,
            "features": {
                "ax": {"values": [1.0, None, 3.0], "outputs": [1.5, 2.0, 2.5]},
                "ay": {"values": [0.0, 0.0, 0.0], "outputs": [0.1, 0.1, 0.1]},
            },
        }
        for which, name, mse in (
            ("worst", "s1", 0.5),
            ("worst_2", "s0", 0.25),
            ("best", "s3", 0.125),
        )
    ],
}
