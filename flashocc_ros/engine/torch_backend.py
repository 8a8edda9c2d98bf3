"""PyTorch: the engine all others are compared with; CPU or CUDA, float32."""

from __future__ import annotations

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


class TorchBackend(Backend):
    """The PyTorch network itself.

    Args:
        variant: which network.
        checkpoint: weights file; None runs deterministic untrained weights.
        precision: only "fp32".
        cache_dir: not used.
        device: "cpu", "cuda", ...; None takes a GPU when torch sees one.
        model: a network already built, instead of ``variant`` and ``checkpoint``; it is left as it is.
        fold: run the rewrites of ``engine.rewrite.fold`` (batch norms folded and the like) and, on a CPU, the cheap
            convolutions of ``engine.rewrite``: equal but for float32 rounding. Off, the stages are bit for bit those
            of the network's own forward. None folds on a CPU.

    Attributes:
        model: the network that runs.
        fold: whether it is rewritten.

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
        fold: bool | None = None,
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
        self.fold = self.device.type == "cpu" if fold is None else fold
        if self.fold:
            model = _rewritten(model, self.device)
        try:
            self.model = model.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"torch cannot use device {self.device}: {error}") from error

    @classmethod
    def unavailable(cls) -> str | None:
        try:
            import torch  # noqa: F401
        except ImportError:
            return "engine torch needs PyTorch, which is not installed; pip install 'flashocc_ros[torch]'"
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
                labels = argmax_labels(logits.numpy())
            else:
                labels = logits.argmax(-1).to(torch.uint8).cpu().numpy()

            def numpy(tensor: torch.Tensor | None) -> Float32 | None:
                return None if tensor is None else tensor[0].float().cpu().numpy()

            return HeadOutput(
                labels=labels,
                bev_key=key if self.variant.num_history else None,
                heatmap=numpy(out.heatmap),
                reg=numpy(out.reg),
                height=numpy(out.height),
                logits=logits.float().cpu().numpy() if with_logits else None,
            )

    def _bev_head(self, key: torch.Tensor, history: Sequence[Any], grids: Float32 | None) -> HeadTensors:
        """The encoder and the heads on the key map and the past ones, warped."""
        from flashocc_ros.engine.rewrite.framewise import FramewiseBevResNet
        from flashocc_ros.model.outputs import HeadTensors

        model = self.model
        if grids is None:
            return model.bev_head(key)
        past = [key if old is None else old for old in history]
        if isinstance(model.img_bev_encoder_backbone, FramewiseBevResNet):
            bev_out = model.img_bev_encoder_neck(model.img_bev_encoder_backbone(key, past, grids))
            centers = {} if model.aux_centerness_head is None else model.aux_centerness_head(bev_out)
            return HeadTensors(occ_logits=model.occ_head(bev_out), bev_out=bev_out, **centers)
        warped = [model.warp(old, grid) for old, grid in zip(past, self._tensor(grids).split(1), strict=True)]
        return model.bev_head(model.concatenate(key, warped))

    def describe(self) -> str:
        import torch

        where = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        return f"torch {torch.__version__} on {where}, fp32"


def _rewritten(model: FlashOcc, device: torch.device) -> FlashOcc:
    """A copy that does the same with fewer operations, in the layout convolutions like best."""
    import torch

    from flashocc_ros.engine.rewrite.fold import folded

    model = folded(model, static=False)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu":
        _rewrite_for_cpu(model)
    return model


def _rewrite_for_cpu(model: FlashOcc) -> None:
    from flashocc_ros.engine.rewrite.fold import FactoredBevNeck
    from flashocc_ros.engine.rewrite.framewise import FramewiseBevResNet
    from flashocc_ros.engine.rewrite.upsample_conv import with_cheap_upsampling
    from flashocc_ros.engine.rewrite.winograd import use_winograd
    from flashocc_ros.model.bev_encoder import BevResNet

    variant, neck, encoder = model.variant, model.img_bev_encoder_neck, model.img_bev_encoder_backbone
    if isinstance(neck, FactoredBevNeck):
        neck.up2 = with_cheap_upsampling(neck.up2)
    # A stem's heads read the maps beside the encoder: they stay together.
    if isinstance(encoder, BevResNet) and variant.num_history and not variant.stem_channels:
        model.img_bev_encoder_backbone = FramewiseBevResNet(
            encoder, variant.num_frames, oldest_first=variant.oldest_first
        )
    # Where maps are large beside the weights, which take four times the memory.
    for part in (model.img_neck, model.img_view_transformer, neck, model.occ_head):
        use_winograd(part)
