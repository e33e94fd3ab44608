"""Long work that survives crashes: states, tasks, executors, and the worker that brings them together."""
