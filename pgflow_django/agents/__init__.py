"""What programs and language models do with flows: who they are, and what they may do."""
