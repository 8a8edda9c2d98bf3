"""Winograd convolutions inside an OpenVINO model, written with its own operations.

OpenVINO multiplies at the speed of the processor, so a float32 network gets faster only by multiplying less.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import numpy.typing as npt

from flashocc_ros.engine.winograd import OUT, TAPS, TILE, products, transforms

TILES_AT_ONCE = 100
"""Tiles transformed together: what is in flight stays near the processor."""
MIN_CHANNELS = 128
"""Below, the transforms cost what the products save."""
MAX_WEIGHTS = 256 * 256
"""in * out beyond which a layer is left alone: four times its weights, held twice, are not worth a few per cent."""


def use_winograd(model: Any) -> int:
    """Replace every convolution of ``model`` that gains from it; shapes must be static. Returns how many.

    Other processors than x86 keep theirs: OpenVINO runs them with kernels of their own.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return 0
    chosen = [op for op in model.get_ordered_ops() if _gains(op)]
    for conv in chosen:
        weight = conv.input_value(1).get_node().data
        result = _convolved(conv.input_value(0), np.asarray(weight, np.float32))
        result.get_node().set_friendly_name(conv.get_friendly_name())
        conv.output(0).replace(result)
    return len(chosen)


def _gains(op: Any) -> bool:
    if op.get_type_name() != "Convolution" or op.input_value(1).get_node().get_type_name() != "Constant":
        return False
    shape, attributes = list(op.input_value(1).shape), op.get_attributes()
    plain = [attributes[name] for name in ("strides", "dilations", "pads_begin", "pads_end")] == [[1, 1]] * 4
    wide_enough = min(shape[:2]) >= MIN_CHANNELS and shape[0] * shape[1] <= MAX_WEIGHTS
    return plain and shape[2:] == [TAPS, TAPS] and wide_enough


def _convolved(x: Any, weight: npt.NDArray[np.float32]) -> Any:
    """Output port (N, out, H, W) of the convolution of port ``x`` (N, in, H, W) with ``weight`` (out, in, 3, 3)."""
    from openvino import opset13 as ops

    count, channels, height, width = x.shape
    rows, columns = -(-height // OUT), -(-width // OUT)
    padded = (rows * OUT + TAPS - 1, columns * OUT + TAPS - 1)
    last = ops.transpose(x, _integers(0, 2, 3, 1))
    border = _integers(0, padded[0] - 1 - height, padded[1] - 1 - width, 0)
    bordered = ops.pad(last, _integers(0, 1, 1, 0), border, "constant", ops.constant(np.float32(0)))
    pixels = _reshaped(bordered, -1, channels)
    kernels = ops.constant(products(weight))
    strip = max(1, TILES_AT_ONCE // (count * columns))
    strips = []
    for top in range(0, rows, strip):
        tiles = _tiles(count, np.arange(top, min(top + strip, rows)), columns, padded)
        strips.append(_strip(ops.gather(pixels, ops.constant(tiles), _integers(0)), kernels, (count, -1, columns)))
    whole = ops.concat(strips, 1) if len(strips) > 1 else strips[0]
    if rows * OUT > height:
        whole = ops.slice(whole, _integers(0), _integers(height), _integers(1), _integers(1))
    if columns * OUT > width:
        whole = ops.slice(whole, _integers(0), _integers(width), _integers(1), _integers(2))
    return ops.transpose(whole, _integers(0, 3, 1, 2)).output(0)


def _tiles(count: int, rows: npt.NDArray[Any], columns: int, padded: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Which pixel of the bordered pictures is at (i, j) of which tile: (6, 6, N * rows * columns)."""
    axes = (np.arange(TILE), np.arange(TILE), np.arange(count), rows, np.arange(columns))
    i, j, n, row, column = np.meshgrid(*axes, indexing="ij")
    index = (n * padded[0] + row * OUT + i) * padded[1] + column * OUT + j
    return index.reshape(TILE, TILE, -1).astype(np.int32)


def _strip(tiles: Any, kernels: Any, grid: tuple[int, int, int]) -> Any:
    """Pixels of the tiles (6, 6, T, in) to the outputs of these tiles (N, 4 * rows, 4 * columns, out)."""
    from openvino import opset13 as ops

    inputs, _, output = (ops.constant(m.astype(np.float32)) for m in transforms())
    channels = kernels.shape[2]
    shape = list(tiles.shape)
    x = ops.matmul(inputs, _reshaped(tiles, TILE, -1), False, False)
    x = ops.matmul(inputs, _reshaped(x, TILE, TILE, -1), False, False)
    y = ops.matmul(_reshaped(x, TILE * TILE, shape[2], shape[3]), kernels, False, False)
    y = ops.matmul(output, _reshaped(y, TILE, TILE, -1), False, False)
    y = ops.matmul(output, _reshaped(y, TILE, -1), False, False)
    count, rows, columns = grid
    y = ops.transpose(_reshaped(y, OUT, OUT, count, rows, columns, channels), _integers(2, 3, 0, 4, 1, 5))
    return _reshaped(y, count, -1, columns * OUT, channels)


def _reshaped(x: Any, *shape: int) -> Any:
    from openvino import opset13 as ops

    return ops.reshape(x, _integers(*shape), False)


def _integers(*values: int) -> Any:
    from openvino import opset13 as ops

    return ops.constant(np.array(values, np.int64))
