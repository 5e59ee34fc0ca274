"""An example host, and the demonstration that runs it; nothing here is installed with the package."""
