"""Numbers about predictions: arrays in, no model known."""
