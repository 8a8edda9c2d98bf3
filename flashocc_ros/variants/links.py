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

"""Where the papers and the authors' weights of each network are. Addresses to read; nothing is fetched from them.

As the reference repository lists them. Its licence is Apache-2.0; it names none for the weights, which were trained on
nuScenes, and those who use them look at the terms of both.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashocc_ros.variants.variant import Variant

REPOSITORY = "https://github.com/Yzichen/FlashOCC"
LICENCE = "code Apache-2.0, none stated for the weights; trained on nuScenes, whose terms are non-commercial"
_PAPERS = {
    "flashocc": "https://arxiv.org/abs/2311.12058",
    "panoptic-flashocc": "https://arxiv.org/abs/2406.10527",
}
_DRIVE = "https://drive.google.com/file/d/"
_PANOPTIC = "https://drive.google.com/drive/folders/1cgCsbXgikoP10lj6DBC7Le9C-UOCIxlN"
_BAIDU = "https://pan.baidu.com/s/1237QyV18zvRJ1pU3YzRItw?pwd=npe1"
_CHECKPOINTS = {
    "flashocc-r50-M0": f"{_DRIVE}14my3jdqiIv6VIrkozQ6-ruEcBOPVlWGJ",
    "flashocc-r50": f"{_DRIVE}1k9BzXB2nRyvXhqf7GQx3XNSej6Oq6I-B",
    "flashocc-r50-4d-stereo": f"{_DRIVE}12WYaCdoZA8-A6_oh6vdLgOmqyEc3PNCe",
    "flashocc-stbase-4d-stereo-512x1408_4x4_2e-4": f"{_DRIVE}1f6E6Bm6enIJETSEbfXs57M0iOUU997kU",
    "bevdet-occ-r50-4d-stereo": _BAIDU,
    "bevdet-occ-stbase-4d-stereo-512x1408": _BAIDU,
}


@dataclass(frozen=True)
class Links:
    """Addresses of one network; None where there is none.

    Attributes:
        paper: that introduced it.
        checkpoint: file or folder with the authors' weights.
        licence: of the latter.
    """

    paper: str | None
    checkpoint: str | None
    licence: str | None


def links_of(variant: Variant) -> Links:
    """The addresses that belong to a row of the table."""
    checkpoint = _CHECKPOINTS.get(variant.name)
    if variant.family == "panoptic-flashocc" and variant.published.miou is not None:
        checkpoint = _PANOPTIC
    return Links(_PAPERS.get(variant.family), checkpoint, LICENCE if checkpoint else None)
