"""Models: base models, training, artifacts, prediction."""
