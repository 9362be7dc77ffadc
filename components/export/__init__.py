"""Write a pushed encoder for other runtimes, from its weights.

onnx_graph.py        Network -> ONNX
nodes.py             ONNX nodes, one call each
onnx_encoder.py      the encoder's operations as ONNX nodes
onnx_linear_path.py  the linear path as ONNX nodes
onnx_statistics.py   the statistics that it reads
write.py             the file, once it agrees with the SavedModel
"""
