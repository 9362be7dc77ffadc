"""Adapt to the machine and to Beam: cores, progress, runners, workers, shims.

cores.py            how the cores of a CPU share a training step
blas.py             the kernel of OpenBLAS that runs
quiet.py            TensorFlow without its lines in a terminal
progress.py         the progress of a stage, for listeners in this process
local_runner.py     Beam's in-process engine, without a download
by_value.py         files that go along with their path
beam_memo.py        what Beam works out anew each time, kept
cluster_runners.py  Flink and Spark, by a job server that ends with the job
beam_options.py     the table `[beam]`
beam_worker.py      `ragline-worker`: a Beam worker in this environment
tfdv_shim.py        the one shim that older glibc needs
"""
