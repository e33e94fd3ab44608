"""Taking a model elsewhere: folders that other programs load, with the same scores."""
