"""Pages of a flow: beginning, taking out, importing, its history."""
