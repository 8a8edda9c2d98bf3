"""Results in a browser: one frame as bytes, a page that draws them, a server or a file that brings them."""

from __future__ import annotations

from flashocc_ros.view.notebook import LiveView, show

__all__ = ["LiveView", "show"]
