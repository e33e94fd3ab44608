"""The HTTP APIs: one package a provider, which know nothing of each other, and operations."""
