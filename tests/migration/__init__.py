"""The schema: its revisions, its views, and that its lifecycle loses nothing."""
