"""Low-latency work: models kept loaded, and what runs where so that answers come at once."""
