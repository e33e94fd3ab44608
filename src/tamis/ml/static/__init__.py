"""The static tier: a lexical part and a semantic part in numpy and scipy, without torch."""
