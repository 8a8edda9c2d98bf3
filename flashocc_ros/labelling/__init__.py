"""Occupancy labels from lidar, poses and, where there are some, boxes and classes of points."""
