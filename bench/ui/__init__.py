"""Measures of the editor: its layout, its pages in a real Chromium, the size of its script."""
