"""Folders and files to pictures, facts and changes; every cost is bounded."""
