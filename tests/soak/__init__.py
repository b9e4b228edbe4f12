"""Faults on a schedule while purchases flow, and an oracle that recounts everything afterwards."""
