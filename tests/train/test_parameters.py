"""What `ragline plan` says of a model is what the model is."""

import pytest
from train.samples import F

from ragline.components.contract.columns import Columns, Feature
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions
from ragline.pipeline.onboard import plan


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoder": "gru", "layers": 2},
        {"bidirectional": True, "decoder": "teacher", "units": 5, "embedding_size": 3},
        {"bidirectional": True, "layers": 2},
    ],
)
def test_the_parameters_that_a_plan_names_are_those_of_the_recurrent_model(options):
    configured = TrainOptions(linear_steps=0, **options)
    features = tuple(Feature(name=name, unit=None, allow_missing=False) for name in "ab")
    columns = Columns(features=features, context={})
    built = architecture.build(features=F, options=configured, steps=4)
    assert plan.parameters(columns, configured) == pytest.approx(built.count_params(), rel=0.02)
