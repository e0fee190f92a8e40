"""Bytes to values and back, compression and encryption."""
