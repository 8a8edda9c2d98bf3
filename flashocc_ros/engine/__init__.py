"""Inference engines behind one interface, and the export of networks to them."""
