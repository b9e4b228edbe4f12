"""The demo: the whole system on one machine, watched, verified and reported."""
