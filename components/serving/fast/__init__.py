"""Encode without TensorFlow: the network of a pushed encoder, in a runtime made for inference.

network.py              what an encoder computes, as plain arrays
read_network.py         an encoder's facts and weights -> Network
weights.py              weights beside a SavedModel, which NumPy reads
rows.py                 raw values and words -> what the recurrent layers read
recurrent_layers.py     the recurrent layers among what an encoder has recorded
recurrence.py           the recurrent layers in OpenVINO
grid.py                 the linear path's grid
sequence_statistics.py  what the linear path reads beside it
fast_encoder.py         sequences -> embeddings; the fast form of an encoder, if it has one
golden.py               the comparison with the embeddings of the model in training
"""

import sys

# OpenVINO tells its maker of each import and conversion, by forks of this process.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
