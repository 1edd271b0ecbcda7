"""What is claimed about speed, measured in one command: ``make bench``."""
