"""The installation of an unmodified argus-server: its settings and its first users."""
