"""From one camera set to occupancy: preprocessing, the backend interface, memory, decoding, instances."""
