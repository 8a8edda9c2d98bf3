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

"""The networks as plain typed data: importing this needs neither torch nor numpy."""

from __future__ import annotations

from flashocc_ros.variants.table import VARIANTS, get_variant, is_file
from flashocc_ros.variants.variant import Backbone, DepthBins, Published, Variant

__all__ = ["VARIANTS", "Backbone", "DepthBins", "Published", "Variant", "get_variant", "is_file"]
