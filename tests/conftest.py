"""Marks this folder, so that tests of any room can import its helper modules."""
