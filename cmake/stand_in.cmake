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

# A package of MESSAGES, with DEPENDS, where the real one of that name does not exist; same names, same wire types. Their
# definitions are those that recordings are read with, unless DEFINITIONS names another folder.
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
foreach(package ${DEPENDS})
  find_package(${package} REQUIRED)
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/drop_missing_include_directories.cmake)

if(NOT DEFINITIONS)
  get_filename_component(DEFINITIONS ${CMAKE_CURRENT_LIST_DIR}/../flashocc_ros/bags/definitions/${PROJECT_NAME} ABSOLUTE)
endif()
list(TRANSFORM MESSAGES REPLACE "(.+)" "${DEFINITIONS}:msg/\\1.msg" OUTPUT_VARIABLE files)
rosidl_generate_interfaces(${PROJECT_NAME} ${files} DEPENDENCIES ${DEPENDS})

ament_package()
