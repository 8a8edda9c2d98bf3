"""Metrics of the Occ3D-nuScenes benchmark and of ids: ``update``, ``merge``, ``compute() -> dict``, ``reset``."""

from flashocc_ros.evaluation.mean_iou import MeanIoU
from flashocc_ros.evaluation.ray_iou import RayIoU
from flashocc_ros.evaluation.ray_pq import RayPQ
from flashocc_ros.evaluation.stability import Stability

__all__ = ["MeanIoU", "RayIoU", "RayPQ", "Stability"]
