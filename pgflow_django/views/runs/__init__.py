"""Pages of a run: starting one, and watching it."""
