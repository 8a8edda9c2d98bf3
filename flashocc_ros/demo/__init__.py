"""The whole path once: a recording goes through the node over DDS, and what came out is shown."""
