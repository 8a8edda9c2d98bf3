"""Training losses, one idea per file; formulas of the FlashOcc, Panoptic-FlashOcc and BEVDet training code."""

from flashocc_ros.training.losses.centers import CenterTargets, center_losses, center_targets
from flashocc_ros.training.losses.cross_entropy import masked_cross_entropy
from flashocc_ros.training.losses.depth import depth_bce, depth_target_bins
from flashocc_ros.training.losses.focal import class_frequency_weights, focal_occupancy, radius_weights
from flashocc_ros.training.losses.lovasz import lovasz_softmax
from flashocc_ros.training.losses.scaling import geometric_scaling, semantic_scaling

__all__ = [
    "CenterTargets",
    "center_losses",
    "center_targets",
    "class_frequency_weights",
    "depth_bce",
    "depth_target_bins",
    "focal_occupancy",
    "geometric_scaling",
    "lovasz_softmax",
    "masked_cross_entropy",
    "radius_weights",
    "semantic_scaling",
]
