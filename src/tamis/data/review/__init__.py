"""What deserves a second look in labelled data, and what could be done about it.

Each module finds one thing and says it as findings (`report`), with edits that can be applied (`edits`, `fixes`).
Scores are handed in: no model is known here.
"""
