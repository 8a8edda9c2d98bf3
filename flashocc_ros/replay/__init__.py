"""Play recordings into DDS, in real time or one camera set per answer."""
