# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""PyTorch: the engine all others are compared with; CPU or CUDA, float32."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashocc_ros.cameras.camera_set import Picture
from flashocc_ros.errors import EngineError
from flashocc_ros.pipeline.backend import Backend, Encoded, Float32, HeadOutput
from flashocc_ros.pipeline.decode import argmax_labels

if TYPE_CHECKING:
    import torch

    from flashocc_ros.geometry.lift import LiftTable
    from flashocc_ros.model.network import FlashOcc
    from flashocc_ros.model.outputs import HeadTensors
    from flashocc_ros.variants import Variant


NO_MEMORY = ("cannot allocate memory", "failed to map segment")
"""What the loader of shared libraries says when a process may not have more memory."""


class TorchBackend(Backend):
    """The PyTorch network itself.

    Args:
        variant: which network.
        checkpoint: weights file; None runs deterministic untrained weights.
        precision: only "fp32".
        cache_dir: not used.
        device: "cpu", "cuda", ...; None takes a GPU when torch sees one.
        model: a network already built, instead of ``variant`` and ``checkpoint``; it is moved to the device.

    Attributes:
        model: the network that runs, as ``model/`` builds it: the stages are bit for bit those of its own forward.

    Raises:
        EngineError: torch is missing or cannot use the device.
        CheckpointError: the weights do not fit.
    """

    name = "torch"
    precisions = ("fp32",)

    def __init__(
        self,
        variant: Variant,
        checkpoint: Path | None = None,
        *,
        precision: str = "fp32",
        cache_dir: Path | None = None,
        device: str | None = None,
        model: FlashOcc | None = None,
    ) -> None:
        reason = self.unavailable()
        if reason is not None:
            raise EngineError(reason)
        if precision not in self.precisions:
            raise EngineError(f"engine torch runs fp32 only, got precision {precision!r}; use openvino or tensorrt")
        import torch

        self.variant = variant
        if model is None:
            from flashocc_ros.model import build_model, load_checkpoint

            model = build_model(variant)
            if checkpoint is not None:
                model.load_state_dict(load_checkpoint(checkpoint, variant))
        model = model.eval()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        try:
            self.model = model.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"torch cannot use device {self.device}: {error}") from error

    @classmethod
    def unavailable(cls) -> str | None:
        if importlib.util.find_spec("torch") is None:
            return "engine torch needs PyTorch, which is not installed; pip install 'flashocc_ros[torch]'"
        try:
            import torch  # noqa: F401
        except Exception as error:  # a library of it that is missing, damaged, or finds no memory
            return f"engine torch cannot load PyTorch: {_one_line(error)}; {_remedy(error)}"
        return None

    def _tensor(self, array: Any) -> torch.Tensor:
        import torch

        return torch.as_tensor(array).to(self.device)

    def preprocess(self, images: Sequence[Picture], transforms: Sequence[Any]) -> Any:
        return self._tensor(super().preprocess(images, transforms))

    def encode(
        self, pixels: Any, camera_params: Float32 | None = None, stereo: tuple[Any, Float32] | None = None
    ) -> Encoded:
        import torch

        from flashocc_ros.model.outputs import StereoContext

        with torch.inference_mode():
            params = None if camera_params is None else self._tensor(camera_params)
            previous = None if stereo is None else StereoContext(stereo[0], self._tensor(stereo[1]))
            encoded = self.model.encode_images(self._tensor(pixels), params, previous)
        return Encoded(encoded.depth, encoded.context, encoded.stereo_feature)

    def stereo_feature(self, pixels: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self.model.stereo_feature(self._tensor(pixels))

    def pool(self, encoded: Encoded, table: LiftTable) -> Any:
        import torch

        with torch.inference_mode():
            return self.model.pool(encoded.depth, encoded.context, table)

    def head(
        self, bev: Any, history: Sequence[Any] = (), grids: Float32 | None = None, *, with_logits: bool = False
    ) -> HeadOutput:
        import torch

        with torch.inference_mode():
            key = self.model.preprocess_bev(self._tensor(bev))
            out = self._bev_head(key, history, grids)
            logits = out.occ_logits[0]
            if self.device.type == "cpu":
                labels, finite = argmax_labels(logits.numpy())
            else:
                labels, finite = logits.argmax(-1).to(torch.uint8).cpu().numpy(), self.finite(logits)

            def numpy(tensor: torch.Tensor | None) -> Float32 | None:
                return None if tensor is None else tensor[0].float().cpu().numpy()

            return HeadOutput(
                labels=labels,
                bev_key=key if self.variant.num_history else None,
                heatmap=numpy(out.heatmap),
                reg=numpy(out.reg),
                height=numpy(out.height),
                logits=logits.float().cpu().numpy() if with_logits else None,
                finite=finite,
            )

    def finite(self, array: Any) -> bool:
        import torch

        return bool(torch.isfinite(torch.as_tensor(array)).all())

    def _bev_head(self, key: torch.Tensor, history: Sequence[Any], grids: Float32 | None) -> HeadTensors:
        """The encoder and the heads on the key map and the past ones, warped."""
        model = self.model
        if grids is None:
            return model.bev_head(key)
        past = [key if old is None else old for old in history]
        warped = [model.warp(old, grid) for old, grid in zip(past, self._tensor(grids).split(1), strict=True)]
        return model.bev_head(model.concatenate(key, warped))

    def describe(self) -> str:
        import torch

        where = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        return f"torch {torch.__version__} on {where}, fp32"


def _remedy(error: Exception) -> str:
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY):
        return "the process is short of memory: free some, raise its limit, or choose another engine"
    return "install it anew, or choose another engine"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
