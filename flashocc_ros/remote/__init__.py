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

"""Recordings and results that lie on servers, read and written by fsspec; local ones go by the same names."""

from __future__ import annotations

from flashocc_ros.remote.path import Location, RemotePath, expand, location, only_local, version_of
from flashocc_ros.remote.upload import output_file, output_folder, upload
from flashocc_ros.remote.urls import is_url

__all__ = [
    "Location",
    "RemotePath",
    "expand",
    "is_url",
    "location",
    "only_local",
    "output_file",
    "output_folder",
    "upload",
    "version_of",
]
