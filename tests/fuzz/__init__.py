"""Hostile input: records made to break decoding, and what must hold for each of them."""
