"""The editor: its page, its edits, and what they answer."""
