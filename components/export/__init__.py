"""Beside the stages: a pushed encoder for other runtimes, written from its weights.

network.py      what an encoder computes, as plain arrays
saved_model.py  a SavedModel of ours -> Network
standard.py     the mean and scale of each feature, out of Transform's graph
onnx_graph.py   Network -> ONNX
nodes.py        ONNX nodes, one call each
linear_path.py  the linear path as ONNX nodes
write.py        all of that, and the file, once it agrees with the SavedModel
"""
