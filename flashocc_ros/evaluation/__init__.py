"""Metrics of the Occ3D-nuScenes benchmark: ``update(...)``, ``merge(other)``, ``compute() -> dict``, ``reset()``."""

from flashocc_ros.evaluation.mean_iou import MeanIoU
from flashocc_ros.evaluation.ray_iou import RayIoU
from flashocc_ros.evaluation.ray_pq import RayPQ

__all__ = ["MeanIoU", "RayIoU", "RayPQ"]
