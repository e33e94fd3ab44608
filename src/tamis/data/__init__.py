"""Text and labels, before any model: reading, checking, splitting."""
