r"""Run `ragline-worker`: a Beam worker in this environment, for what starts workers by a command.

    python -m apache_beam.runners.worker.worker_pool_main --service_port=50000 \
        --container_executable=.venv/bin/ragline-worker

It keeps the contract of an SDK container's entry point, without staged files: ragline is installed
in its environment. Without it a pool starts the first `python` on the path, and gives it none of
the pipeline's options.
https://s.apache.org/beam-fn-api-container-contract
"""

import argparse
import os
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the runner until it is done."""
    parser = argparse.ArgumentParser(prog="ragline-worker")
    for name in ("id", "provision_endpoint"):
        parser.add_argument(f"--{name}", required=True)
    options, _ = parser.parse_known_args(arguments)
    with grpc.insecure_channel(options.provision_endpoint) as channel:
        info = (
            beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
            .GetProvisionInfo(
                beam_provision_api_pb2.GetProvisionInfoRequest(),
                metadata=[("worker_id", options.id)],
            )
            .info
        )
    os.environ |= {
        "WORKER_ID": options.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.logging_endpoint),
    }
    sdk_worker_main.main([])
