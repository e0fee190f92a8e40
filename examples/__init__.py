"""Applications to read and to run; each is run by a test."""
