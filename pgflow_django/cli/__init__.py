"""What the management commands share: errors, terminals, tables, progress. Adapters layer."""
