"""Everything about one run, below ``executor``: starting, executing, how it stands."""
