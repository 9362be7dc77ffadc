"""A kernel of OpenBLAS for less than the processor has is warned of, with where it was set."""

import json
import os

import pytest
import scipy.linalg  # noqa: F401 (loads its OpenBLAS)
import threadpoolctl
from commands import python

from ragline.components.runtime import blas


@pytest.mark.parametrize(
    ("name", "bits", "warned"),
    [
        ("SkylakeX", 512, None),
        ("Zen", 256, None),
        ("Haswell", 512, "kernel Haswell, and the processor has AVX512_SKX"),
        ("Sandybridge", 256, "kernel Sandybridge, and the processor has AVX2"),
        ("NEOVERSEN1", 0, None),
    ],
)
def test_a_kernel_for_less_than_the_processor_has_is_told(name, bits, warned, monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    kernel = blas.judge(name, bits)
    assert kernel.name == name
    assert (kernel.warning is None) == (warned is None)
    assert warned is None or warned in kernel.warning
    monkeypatch.setenv("OPENBLAS_CORETYPE", name)
    warning = blas.judge(name, bits).warning
    assert warned is None or f"OPENBLAS_CORETYPE={name} in the environment asks for it" in warning


@pytest.mark.skipif(blas._most_bits() < 256, reason="the kernel needs AVX2")
def test_the_kernel_that_runs_is_the_one_that_was_asked_for():
    code = (
        "import dataclasses, json; from ragline.components.runtime import blas; "
        "print(json.dumps(dataclasses.asdict(blas.kernel())))"
    )
    done = python("-c", code, env={**os.environ, "OPENBLAS_CORETYPE": "Haswell"})
    assert done.returncode == 0, done.stderr
    kernel = json.loads(done.stdout)
    assert kernel["name"] == "Haswell"
    assert (kernel["warning"] is None) == (blas._most_bits() == 256)


def test_within_a_function_of_one_thread_openblas_has_one_and_then_what_it_had():
    def threads():
        return {
            library["filepath"]: library["num_threads"]
            for library in threadpoolctl.threadpool_info()
            if library["internal_api"] == "openblas"
        }

    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        within = blas.one_thread(threads)()
        assert set(before.values()) == {2}
        assert within.keys() == before.keys()
        assert set(within.values()) == {1}
        assert threads() == before
