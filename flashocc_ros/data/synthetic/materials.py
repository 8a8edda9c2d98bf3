"""Surface kinds that the shader knows."""

from __future__ import annotations

PAINT, GLASS, RUBBER, FACADE, LEAVES, BARK, CLOTH, STRIPES, GLOW, MESH, CONCRETE, BRICK, METAL = range(13)
