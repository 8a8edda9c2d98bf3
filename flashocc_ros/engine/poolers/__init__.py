"""Sum depth-weighted context features into grid cells: the one step between the two graphs of a network.

All poolers compute ``bev[cell] = sum over points of the cell of depth[point] * context[camera, :, pixel of the point]``
from the index table of ``geometry.lift`` and agree with a plain index_add within 1e-5.
"""
