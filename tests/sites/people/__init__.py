"""An app with users of its own."""
