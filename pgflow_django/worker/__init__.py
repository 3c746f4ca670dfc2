"""Runs step functions: claim, call, settle. Service layer, below ``executor``."""
