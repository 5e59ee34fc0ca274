"""What an event costs the caller's thread and what the package costs a start; see README.md here."""
