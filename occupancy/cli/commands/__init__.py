"""The commands, one module per group of ``flask``; each parses, calls the services, and prints."""
