"""LLMs behind OpenAI-compatible endpoints as labelers: they answer predictions like any model."""
