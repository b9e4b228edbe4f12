"""The pure core: no network, no clock, no environment; time and randomness are arguments."""
