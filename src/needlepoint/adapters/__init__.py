"""Needlepoint inside other tools: one optional module for each, against the real package."""
