"""The networks as plain typed data: importing this needs neither torch nor numpy."""

from __future__ import annotations

from flashocc_ros.variants.table import VARIANTS, get_variant
from flashocc_ros.variants.variant import Backbone, DepthBins, Published, Variant

__all__ = ["VARIANTS", "Backbone", "DepthBins", "Published", "Variant", "get_variant"]
