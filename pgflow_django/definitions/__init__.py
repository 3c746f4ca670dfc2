"""What a flow is, without a database: its options, its document, its problems and its edits."""
