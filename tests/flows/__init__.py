"""An app with step functions that other processes find too."""
