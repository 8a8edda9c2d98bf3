"""Headless pictures of occupancy: numpy in, uint8 RGB out."""
