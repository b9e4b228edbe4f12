"""A streaming real-time customer segmenter.

Purchases come in through Kafka, features of each customer live in Redis, River refines the
clusters, and every move of a customer between segments goes out as an event.
Read ``pipeline.py`` and then ``core/`` from top to bottom to follow one purchase.
"""
