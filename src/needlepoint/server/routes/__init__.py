"""The addresses the server answers; one file a concern, each with a ``router``."""
