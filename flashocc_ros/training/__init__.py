"""Losses, data order, schedule and the loop that trains every variant, on nuScenes or on the synthetic world."""
