"""Winograd convolutions inside an OpenVINO model: the numbers of OpenVINO's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flashocc_ros.engine import winograd_openvino
from flashocc_ros.engine.winograd_openvino import MIN_CHANNELS, use_winograd

openvino = pytest.importorskip("openvino")

ONE, THREE = (1, 1), (3, 3)


@pytest.fixture(autouse=True)
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def _model(
    size: tuple[int, ...],
    out: int = MIN_CHANNELS,
    kernel: tuple[int, int] = THREE,
    stride: int = 1,
    dilation: int = 1,
) -> Any:
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    x = ops.parameter(list(size), np.float32, "x")
    weight = (rng.normal(size=(out, size[1], *kernel)) / np.sqrt(9 * size[1])).astype(np.float32)
    pad = [dilation * (k // 2) for k in kernel]
    conv = ops.convolution(x, ops.constant(weight), [stride, stride], pad, pad, [dilation, dilation])
    bias = ops.constant(rng.normal(size=(1, out, 1, 1)).astype(np.float32))
    return openvino.Model([ops.relu(ops.add(conv, bias))], [x])


def _run(model: Any, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result: npt.NDArray[np.float32] = compiled([x])[0]
    return result


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (7, 22), (25, 27)])
@pytest.mark.parametrize("count", [1, 2])
def test_any_size_equals_the_direct_convolution(size: tuple[int, int], count: int) -> None:
    shape = (count, MIN_CHANNELS, *size)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = _run(_model(shape), x)
    model = _model(shape)
    assert use_winograd(model) == 1
    np.testing.assert_allclose(_run(model, x), expected, atol=3e-5)


def test_a_large_map_goes_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd_openvino, "TILES_AT_ONCE", 10)
    shape = (1, MIN_CHANNELS, 23, 17)
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    expected = _run(_model(shape), x)
    model = _model(shape)
    use_winograd(model)
    assert sum(op.get_type_name() == "Gather" for op in model.get_ops()) == 3
    np.testing.assert_allclose(_run(model, x), expected, atol=3e-5)


@pytest.mark.parametrize(
    "changes", [{"out": 8}, {"out": 600}, {"kernel": ONE}, {"stride": 2}, {"dilation": 2}], ids=str
)
def test_other_convolutions_stay(changes: dict[str, Any]) -> None:
    model = _model((1, MIN_CHANNELS, 12, 12), **changes)
    assert use_winograd(model) == 0
    assert any(op.get_type_name() == "Convolution" for op in model.get_ops())


def test_other_processors_keep_their_own_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert use_winograd(_model((1, MIN_CHANNELS, 12, 12))) == 0
