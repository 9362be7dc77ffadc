"""Hold the stages of ragline, one package each, in the order in which data meets them.

`ingest -> validate -> transform -> train -> evaluate -> push`, and `export`, which is no part of a
run. A stage never imports another stage; stages meet through artifacts. All of them stand on the
shared floor: `contract`, `files`, `runtime` and `serving`, and on the package `ragline.schemas`.

Importing this package installs the TFDV shim, so that any process that touches a stage, a Beam
worker included (`--beam_plugin=ragline.components`), can import TFDV on every platform.

contract/   what the stages agree on: columns, masks, artifacts, errors
files/      files that are whole or absent, on a disk or in a store of objects
runtime/    this machine and Beam
serving/    a pushed encoder, loaded
ingest/     raw files -> TFRecords, and a report on every record
validate/   statistics, the schema, the gate
transform/  z-scores over valid, observed values
train/      the masked autoencoder and its SavedModel
evaluate/   masked metrics, baselines, the verdict
push/       the padding contract, versions
export/     other runtimes
"""

from ragline.components.runtime import tfdv_shim

tfdv_shim.install()
