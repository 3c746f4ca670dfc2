"""Why a run stands as it does: all reasons, the most urgent first. ``finding`` has the door."""
