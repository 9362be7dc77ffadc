"""The stages of ragline, one package each, in the order in which data meets them.

`ingest -> validate -> transform -> train -> evaluate -> push`. A stage never imports another stage;
stages meet through artifacts. All of them stand on the modules beside this file: `sequence` (keys,
columns, shape letters), `masking` (the one definition of a masked mean), `manifest` (the shards of
a split), `artifacts`, `progress`, `cores` (of a CPU), `storage` and `places` (files on a disk or in
a store), `errors`, and on the package `schemas`. Two packages are no part of a run, and keep the
same rule: `encode` and `export` are about what a push left. `local_runner` and `worker` are for
Beam: where a job runs on this machine, and what a worker on another one starts.

Importing this package installs the TFDV shim, so that any process that touches a stage, a Beam
worker included (`--beam_plugin=components`), can import TFDV on every platform.
"""

from ragline.components.runtime import tfdv_shim

tfdv_shim.install()
