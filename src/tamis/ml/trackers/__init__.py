"""Trackers of experiments that a training run reports to; each runs in a process of its own (see `background`)."""
