"""From pixels and poses to voxels: pure numpy functions, float64 poses in, float32 or int32 tables out."""

from __future__ import annotations

from flashocc_ros.geometry.camera_params import camera_params
from flashocc_ros.geometry.ego_motion import bev_warp_grid
from flashocc_ros.geometry.frames import Geometry
from flashocc_ros.geometry.lift import LiftTable, lift_table
from flashocc_ros.geometry.stereo import stereo_grid

__all__ = ["Geometry", "LiftTable", "bev_warp_grid", "camera_params", "lift_table", "stereo_grid"]
