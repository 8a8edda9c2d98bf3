"""Tools that measure from above: parity, speed, complexity."""
