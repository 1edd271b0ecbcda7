"""What the program tells about itself: its log, metrics, spans and defects."""
