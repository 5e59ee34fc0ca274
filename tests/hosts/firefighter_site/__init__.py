"""The installation of an unmodified FireFighter: its first users."""
