"""Owners of partitions that lose calls and crash, and a model of what the store must then hold."""
