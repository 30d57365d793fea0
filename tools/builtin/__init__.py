"""Rebuilds the files of the built-in encoder from openly licensed packages and pictures."""
