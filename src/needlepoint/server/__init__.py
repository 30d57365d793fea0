"""The door for browsers and programs: HTTP on this machine."""
